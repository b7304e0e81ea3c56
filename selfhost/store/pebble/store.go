package pebble

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/internal/rows"
)

const (
	formatVersion = 1
	engineFormat  = engine.FormatWALSyncChunks
)

// A Store is an open directory. Its methods may be called from any goroutine.
//
// Locks are taken in this order: roomsMu, room.mu, mu; cacheShard.mu is innermost. The
// engine is never called under mu.
type Store struct {
	dir   string
	opts  Options
	term  string
	fence *fence
	lock  *engine.Lock
	db    *engine.DB
	cache *rows.Cache

	roomsMu sync.Mutex // guards rooms
	rooms   map[store.RoomID]*room

	// using is held shared while the engine is read, and exclusively to close it.
	using  sync.RWMutex
	closed atomic.Bool // set under using

	committer
	counters
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Index = (*Store)(nil)
)

// Open opens the store in a directory, which it makes if there is none. It returns
// once everything that was acknowledged before is readable and on fresh files. It fails
// with [store.ErrLocked] while another process, or this one, has the directory open, and
// with [store.ErrFormat] if the directory holds something else.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o.withDefaults())
	if err != nil {
		return nil, &store.Error{Op: "open", Path: dir, Err: err}
	}
	return s, nil
}

// OpenMemory opens an empty store that lives in memory only, for tests. It behaves as one
// on disk does, and is gone when closed.
func OpenMemory(o Options) (*Store, error) {
	o.FS = vfs.NewMem()
	return Open("memory", o)
}

func open(dir string, o Options) (*Store, error) {
	s := &Store{dir: dir, opts: o, cache: rows.NewCache(o.CacheBytes), rooms: make(map[store.RoomID]*room)}
	s.committer.init(s)
	s.fence = &fence{FS: o.FS, fail: s.stop}

	var token [16]byte
	_, _ = rand.Read(token[:]) // never fails
	s.term = hex.EncodeToString(token[:])

	if err := o.FS.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := engine.LockDirectory(dir, o.FS)
	if err != nil {
		const sharingViolation = syscall.Errno(32) // on Windows
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) ||
			runtime.GOOS == "windows" && errors.Is(err, sharingViolation) ||
			strings.Contains(err.Error(), "lock held by current process") {
			return nil, store.ErrLocked
		}
		return nil, err
	}
	s.lock = lock

	// The engine is opened on a goroutine of its own, because a fault that it holds to be
	// fatal parks it there.
	opened := make(chan error, 1)
	go func() {
		defer recoverTo(opened)
		opened <- s.recover()
	}()
	select {
	case err = <-opened:
	case <-s.stopped:
		err = s.cause
	}
	if err != nil {
		s.stop(err) // also where only the caller knows of it yet
		s.finish()
		s.abandon()
		return nil, err
	}
	s.start()
	return s, nil
}

// recover opens the engine, which replays its write-ahead log, and checks the format.
func (s *Store) recover() error {
	db, err := engine.Open(s.dir, s.engineOptions())
	if err != nil {
		return err
	}
	s.db = db
	if err := s.checkFormat(); err != nil {
		return errors.Join(err, db.Close())
	}
	// The end of the log may have been in the operating system's memory only: written by a
	// process that died before its fsync, or after one that failed and marked the
	// pages clean. Nobody may read it before it is on the disk. The engine has written
	// what it replayed to new files, and TestRecoveredIsDurable watches that it goes on to.
	return nil
}

func (s *Store) checkFormat() error {
	v, closer, err := s.db.Get([]byte(formatKey))
	if err == nil {
		d := abi.NewDecoder(v)
		n := d.Uvarint("format", 1<<64-1)
		err = errors.Join(d.End("format"), closer.Close())
		if err != nil || n != formatVersion {
			return fmt.Errorf("%w: the directory is of store format %d, this program reads %d", store.ErrFormat, n, formatVersion)
		}
		return nil
	}
	if !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	some := it.First()
	if err := it.Close(); err != nil {
		return err
	}
	if some {
		return fmt.Errorf("%w: the directory holds a database of another program", store.ErrFormat)
	}
	return s.db.Set([]byte(formatKey), abi.AppendUvarint(nil, formatVersion), engine.Sync)
}

func (s *Store) engineOptions() *engine.Options {
	o := &engine.Options{
		FS:                 s.fence,
		Lock:               s.lock,
		CacheSize:          s.opts.BlockCacheBytes,
		MaxOpenFiles:       s.opts.MaxOpenFiles,
		FormatMajorVersion: engineFormat,
		MemTableSize:       uint64(s.opts.MemTableBytes),
		// Four write buffers and a deep first level take a burst while a slow disk
		// compacts; the defaults (2 and 12) stop writes sooner to keep reads short,
		// which matters less where rooms list few rows.
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       64,
		// Relaxed commits reach the disk in steps instead of all at once with the next
		// fsync, which would delay a durable one.
		WALBytesPerSync:            512 << 10,
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		Logger:                     engineLogger{s},
		EventListener: &engine.EventListener{
			// Failed writes never get here (see fence): what remains are faults found by
			// reading. The engine would try again for ever.
			BackgroundError: func(err error) {
				if !errors.Is(err, engine.ErrCancelledCompaction) && !errors.Is(err, engine.ErrClosed) {
					s.stop(fmt.Errorf("background work: %w", err))
				}
			},
			WriteStallBegin: func(engine.WriteStallBeginInfo) { s.stalls.Add(1) },
		},
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	return o
}

// engineLogger takes the engine's word that it cannot go on. Its other lines say nothing
// that [Stats] and errors do not.
type engineLogger struct{ s *Store }

func (engineLogger) Infof(string, ...any)  {}
func (engineLogger) Errorf(string, ...any) {}

// Fatalf never returns, as the engine expects of it.
func (l engineLogger) Fatalf(format string, args ...any) {
	l.s.stop(fmt.Errorf(format, args...))
	park()
}

// Away implements [store.Store].
func (s *Store) Away() bool { return s.Err() != nil || s.closed.Load() }

// use begins a read of the engine; the returned function ends it.
func (s *Store) use() (end func(), err error) {
	s.using.RLock()
	err = s.Err()
	if err == nil && s.closed.Load() {
		err = store.ErrClosed
	}
	if err != nil {
		s.using.RUnlock()
		return nil, err
	}
	return s.using.RUnlock, nil
}

// Close implements [store.Store]. It returns the cause if the store has stopped. It waits
// for an operation on the disk that is under way, however long the operating system takes.
func (s *Store) Close() error {
	if !s.finish() {
		return nil
	}
	if err := s.Err(); err == nil {
		err = s.closeEngine()
		if s.Err() == nil {
			if err != nil {
				return &store.Error{Op: "close", Path: s.dir, Err: err}
			}
			return nil
		}
	}
	s.abandon()
	return &store.Error{Op: "close", Path: s.dir, Err: s.Err()}
}

func (s *Store) closeEngine() error {
	s.using.Lock()
	s.closed.Store(true)
	s.using.Unlock()
	done := make(chan error, 1)
	go func() {
		defer recoverTo(done)
		done <- errors.Join(s.db.Close(), s.lock.Close())
	}()
	select {
	case err := <-done:
		return err
	case <-s.stopped:
		return s.Err()
	}
}

// abandon leaves an engine that cannot be closed, and gives the directory's lock back,
// which is safe once the fence lets nothing pass.
func (s *Store) abandon() {
	s.closed.Store(true)
	s.fence.close()
	// One reference is the engine's, which will not give it back itself. A lock that is
	// released already panics.
	defer func() { _ = recover() }()
	_ = s.lock.Close()
	_ = s.lock.Close()
}

// Open implements [store.Store].
func (s *Store) Open(ctx context.Context, id store.RoomID) (store.Room, error) {
	fail := func(err error) (store.Room, error) {
		return nil, &store.Error{Op: "open", Room: id, Err: err}
	}
	if !id.Valid() {
		return nil, &store.Error{Op: "open", Err: fmt.Errorf("%w: room name %q", store.ErrInvalid, id.String())}
	}
	r := newRoom(s, id)
	s.roomsMu.Lock()
	if s.rooms[id] != nil {
		s.roomsMu.Unlock()
		return fail(store.ErrOpen)
	}
	s.rooms[id] = r
	s.roomsMu.Unlock()
	if err := r.load(ctx); err != nil {
		s.forget(id)
		return fail(err)
	}
	return r, nil
}

func (s *Store) forget(id store.RoomID) {
	s.roomsMu.Lock()
	defer s.roomsMu.Unlock()
	delete(s.rooms, id)
}

// recoverTo sends a panic of the engine as an error.
func recoverTo(c chan<- error) {
	if r := recover(); r != nil {
		c <- fmt.Errorf("the engine panicked: %v", r)
	}
}
