package scheduler_test

import (
	"sync/atomic"
	"testing"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
)

// versions is a module that can be replaced.
type versions struct{ now atomic.Pointer[rooms.Module] }

func (v *versions) Kind(name string) (abi.KindOptions, bool) { return natives{v.now.Load()}.Kind(name) }

func (v *versions) Guest(string, string) (scheduler.Guest, error) {
	return native{roomtest.NewNative(v.now.Load(), nil)}, nil
}

// TestReplace puts a new version under a room with connections: its memory goes, they stay, and the
// new version's options hold.
func TestReplace(t *testing.T) {
	v := &versions{}
	v.now.Store(desks(rooms.Options{Members: 2}))
	n := openWith(t, v, memory(t, nil))
	ann := n.dial("desk", "one", "ann")
	ann.expect("welcome ann")
	ann.send("memory")
	ann.expect("memory=1 attachment=ann")
	ann.send("memory")
	ann.expect("memory=2 attachment=ann")
	v.now.Store(desks(rooms.Options{Members: 1}))
	n.scheduler.Replace("desk")
	ann.send("memory")
	ann.expect("memory=1 attachment=ann")
	if code := n.dial("desk", "one", "bob").closed(); code != abi.CodeRoomFull {
		t.Fatal(code)
	}
}
