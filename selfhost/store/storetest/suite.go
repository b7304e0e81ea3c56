// Package storetest is the suite that every engine of the store must pass, and what the engines'
// own tests share with it.
package storetest

import (
	"math/rand/v2"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/store"
)

// Options are what a test of the suite asks of the engine.
type Options struct {
	// CacheBytes bounds the rows in memory; 0 is the engine's default, less than 0 none.
	CacheBytes int64
	// PendingBytes and RoomPendingBytes bound what waits; 0 is the engine's default.
	PendingBytes, RoomPendingBytes int
	// Fault is asked before each commit is written, on a goroutine of the engine that may wait in
	// it; the error that it returns fails the commit for certain.
	Fault func(id store.RoomID, number uint64) error
	// Crashes says that [Place.Crash] will be called.
	Crashes bool
}

// A Place is where stores of one engine find each other's rows.
type Place interface {
	// Store opens the place, for the first time or after Close of the store before it: as another
	// process.
	Store(t *testing.T) store.Store
	// Crash is the moment of a crash: of all that is answered later, nothing need be found. What
	// the engine need not have kept is lost or not, as rng says.
	Crash(t *testing.T, rng *rand.Rand)
	// Recover closes the store, which may go on for a while after the crash, and opens the place
	// as it was at the crash.
	Recover(t *testing.T) store.Store
}

// An Engine makes an empty place. Its stores are closed when the test ends.
type Engine func(t *testing.T, o Options) Place

// Run runs the suite.
func Run(t *testing.T, e Engine) {
	for _, tt := range []struct {
		name string
		test func(*testing.T, Engine)
	}{
		{"CommitAndRead", testCommitAndRead},
		{"Numbers", testNumbers},
		{"NumberOfAnotherOwner", testNumberOfAnotherOwner},
		{"Limits", testLimits},
		{"OpenTwice", testOpenTwice},
		{"Order", testOrder},
		{"VoidRows", testVoidRows},
		{"ResetInDone", testResetInDone},
		{"Busy", testBusy},
		{"CloseAnswers", testCloseAnswers},
		{"ReadLimits", testReadLimits},
		{"List", testList},
		{"ListBytes", testListBytes},
		{"LongLists", testLongLists},
		{"RoomsAreApart", testRoomsAreApart},
		{"Outbox", testOutbox},
		{"ReturnedValuesAreCopies", testReturnedValuesAreCopies},
		{"NoCache", testNoCache},
		{"Closed", testClosed},
		{"Hammer", testHammer},
		{"Model", testModel},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.test(t, e) })
	}
}
