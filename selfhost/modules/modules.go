// Package modules holds the room modules of a node: which files there are, which kinds they
// bring, and which version of each is the newest. A module whose new version fails to load is
// refused and the old one stays.
package modules

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/runtime"
	"github.com/oriel-rooms/oriel/selfhost/scheduler"
)

// A Source is where one module comes from.
type Source struct {
	// Name is for logs and errors: a path, or "built in".
	Name string
	// Read returns the module's bytes, anew at each reload.
	Read func() ([]byte, error)
}

// File is the source of a module in a file.
func File(path string) Source {
	return Source{Name: path, Read: func() ([]byte, error) { return os.ReadFile(path) }}
}

// ErrKindTaken means that two modules have a kind of the same name.
var ErrKindTaken = errors.New("modules: two modules have the same kind")

// A Set is the modules of a node. It implements [scheduler.Modules]. Its methods may be called
// concurrently.
type Set struct {
	runtime *runtime.Runtime
	sources []Source

	mu     sync.RWMutex // guards the fields below
	loaded []*runtime.Module
	kinds  map[string]*runtime.Module
}

var _ scheduler.Modules = (*Set)(nil)

// Load loads every source.
func Load(ctx context.Context, r *runtime.Runtime, sources ...Source) (*Set, error) {
	s := &Set{runtime: r, sources: sources, loaded: make([]*runtime.Module, len(sources))}
	for i := range sources {
		if _, err := s.load(ctx, i); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// Reload loads again every source whose bytes have changed, and returns the kinds that have a
// newer module now; the caller tells the scheduler of each. A source that fails stays at its old
// version, and its error is part of err.
func (s *Set) Reload(ctx context.Context) (kinds []string, err error) {
	for i := range s.sources {
		k, e := s.load(ctx, i)
		kinds = append(kinds, k...)
		err = errors.Join(err, e)
	}
	return kinds, err
}

// load brings one source up to date and returns the kinds that changed.
func (s *Set) load(ctx context.Context, i int) ([]string, error) {
	binary, err := s.sources[i].Read()
	if err != nil {
		return nil, fmt.Errorf("modules: %s: %w", s.sources[i].Name, err)
	}
	module, err := s.runtime.Load(ctx, binary)
	if err != nil {
		return nil, fmt.Errorf("modules: %s: %w", s.sources[i].Name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.loaded[i]
	if old != nil && old.Hash() == module.Hash() {
		return nil, module.Close()
	}
	kinds := make(map[string]*runtime.Module)
	for k, m := range s.kinds {
		if m != old {
			kinds[k] = m
		}
	}
	var names []string
	for _, k := range module.Manifest().Kinds {
		if kinds[k.Name] != nil {
			return nil, errors.Join(fmt.Errorf("%w: %s in %s", ErrKindTaken, k.Name, s.sources[i].Name), module.Close())
		}
		kinds[k.Name] = module
		names = append(names, k.Name)
	}
	s.loaded[i], s.kinds = module, kinds
	if old != nil {
		return names, old.Close() // its rooms move to the new one, each between two turns
	}
	return names, nil
}

// Kind implements [scheduler.Modules].
func (s *Set) Kind(name string) (abi.KindOptions, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.kinds[name]
	if m == nil {
		return abi.KindOptions{}, false
	}
	return m.Manifest().Kind(name)
}

// Kinds returns the options of every kind.
func (s *Set) Kinds() []abi.KindOptions {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []abi.KindOptions
	for _, m := range s.loaded {
		for _, k := range m.Manifest().Kinds {
			out = append(out, k.WithDefaults())
		}
	}
	return out
}

// Guest implements [scheduler.Modules].
func (s *Set) Guest(kind, room string) (scheduler.Guest, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m := s.kinds[kind]
	if m == nil {
		return nil, fmt.Errorf("modules: %w: %s", abi.CodeUnknownKind, kind)
	}
	r, err := m.NewRoom(kind + "/" + room)
	if err != nil {
		return nil, err
	}
	return guest{r}, nil
}

// Close gives the modules back. Their rooms are closed before.
func (s *Set) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.loaded {
		if m != nil {
			_ = m.Close() // it only marks
		}
	}
}

// guest makes a runtime's room a scheduler's.
type guest struct{ *runtime.Room }

// Close implements [scheduler.Guest]. The scheduler closes no room that is in a turn, which is
// the only thing that fails.
func (g guest) Close() { _ = g.Room.Close() }

// Throttle implements [scheduler.Guest].
func (g guest) Throttle(now time.Time) time.Duration { return g.Room.Throttle(now) }
