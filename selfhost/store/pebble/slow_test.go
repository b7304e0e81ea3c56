package pebble

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// A slowDisk holds fsyncs of the write-ahead log on demand.
type slowDisk struct {
	mu      sync.Mutex // guards all below
	syncing chan struct{}
	gate    chan struct{}
}

func slowFS() (vfs.FS, *slowDisk) {
	d := &slowDisk{}
	return errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(d.op)), d
}

// hold makes fsyncs wait; the returned channel is closed when the first does.
func (d *slowDisk) hold() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncing, d.gate = make(chan struct{}), make(chan struct{})
	return d.syncing
}

func (d *slowDisk) release() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.gate)
	d.gate = nil
}

func (d *slowDisk) op(op errorfs.Op) error {
	if !isSync(op.Kind) || !strings.HasSuffix(op.Path, ".log") {
		return nil
	}
	d.mu.Lock()
	gate := d.gate
	if gate != nil && d.syncing != nil {
		close(d.syncing)
		d.syncing = nil
	}
	d.mu.Unlock()
	if gate != nil {
		<-gate
	}
	return nil
}

func isSync(k errorfs.OpKind) bool {
	return k == errorfs.OpFileSync || k == errorfs.OpFileSyncData || k == errorfs.OpFileSyncTo
}
