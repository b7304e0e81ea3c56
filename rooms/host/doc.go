// Package host is what every host written in Go does in the same way: the model
// of one living room. It turns events into batches, runs them through a [Guest],
// validates the whole batch of effects against every limit, keeps the table of
// connections, starts the room again after a trap and finds the event that did
// it.
//
// It does no I/O and starts no goroutine: the caller brings the guest, the
// storage, the clock and the seed, commits what a [Turn] writes, and delivers its
// effects afterwards. The runtime (wazero), the test host (native Go) and the
// self-hosted server all stand on it; the Durable Object host does the same in
// TypeScript, and the conformance suite holds them together.
package host
