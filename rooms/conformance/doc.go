// Package conformance is the suite that every host of rooms must pass: two hosts agree when they
// give the same effects for the same events.
//
// It has two parts. Recordings are encoded batches of events with the encoded effects that must
// come of them, byte for byte; they stand in testdata/recordings, whose README says how a host in
// another language replays them. Behaviors are Go functions that drive a room of the conformance
// module (package kinds), with clients around it, through what recordings cannot say: traps and what
// follows them, sleep, new versions, failing storage, alarms that come twice, limits.
//
// A host is tested through a [Driver], which it hands to [Run]. A host that stands on package host has
// one in [Guests]; the Durable Object host's drives a running worker.
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Guests{New: newGuest})
//	}
//
// [RecordRandom] and [Compare] hold two hosts together on made-up events.
//
// The package does no I/O but reading its recordings, which are embedded.
package conformance
