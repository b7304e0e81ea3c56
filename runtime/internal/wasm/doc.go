// Package wasm reads a WebAssembly module, says what it imports and exports, and
// writes it again with what the runtime needs inside: fuel, exports of its mutable
// globals, a memory limit, and no start section.
//
// It is not a validator: wazero validates what this package has written. It is
// bounded: it never reads past its input, never allocates more than a small multiple
// of it, never recurses, and answers hostile bytes with an [Error]. It does no I/O, keeps no
// state, and starts no goroutine that outlives a call.
//
// Lifecycle: [Parse] a module, look at it, [Module.Rewrite] it.
package wasm
