// Package roomtest runs a room natively in a unit test, or its compiled module
// through a guest that the test hands in. Time stands still until the test moves it,
// randomness is seeded, every effect is recorded, and the test can put the room to
// sleep between any two turns, fail its storage, or repeat its alarm.
//
//	h := roomtest.New(t, roomtest.Options{Kind: "echo"})
//	ann := h.Connect("ann")
//	ann.Send("hello")
//	if got := ann.Texts(); !slices.Equal(got, []string{"hello"}) { ... }
//
// Unless the test says otherwise, each batch is run a second time on a fresh memory with
// the same storage and seed, and the effects must be the same: that finds state that
// would be lost in a sleep, and behavior that hangs on the order of a map.
package roomtest
