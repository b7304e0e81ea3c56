package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// A Recorder writes down answers in the order in which they come.
type Recorder struct {
	mu  sync.Mutex // guards log
	log []string
	wg  sync.WaitGroup
}

// Done returns a done function that writes down the name and the answer.
func (rec *Recorder) Done(name string) func(error) {
	rec.wg.Add(1)
	return func(err error) {
		rec.mu.Lock()
		rec.log = append(rec.log, fmt.Sprintf("%s:%s", name, short(err)))
		rec.mu.Unlock()
		rec.wg.Done()
	}
}

// Len returns how many answers have come.
func (rec *Recorder) Len() int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return len(rec.log)
}

// Wait waits for all answers and returns them.
func (rec *Recorder) Wait() string {
	rec.wg.Wait()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return strings.Join(rec.log, " ")
}

func short(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, store.ErrVoid):
		return "void"
	case errors.Is(err, ErrFault):
		return "fault"
	case errors.Is(err, store.ErrFenced):
		return "fenced"
	case errors.Is(err, store.ErrNumber):
		return "number"
	case errors.Is(err, store.ErrBusy):
		return "busy"
	case errors.Is(err, store.ErrStopped):
		return "stopped"
	case errors.Is(err, store.ErrClosed):
		return "closed"
	}
	return err.Error()
}
