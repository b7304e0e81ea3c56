// Package runtime runs rooms: it loads a module, gives each room a memory of its own, and
// runs one turn at a time in it, on wazero, within limits of time and memory.
//
// It knows turns as bytes: what is in a batch and in the effects, when a room starts
// again, and what becomes of the effects is [host]'s. It does no I/O but the
// compilation cache, never logs, and starts no goroutine that outlives a call.
//
// # Lifecycle
//
//  1. [New] makes a [Runtime]: one for a process.
//  2. [Runtime.Load] checks a module, puts fuel into it, compiles it, starts it once, warms it
//     up, and keeps its memory as an image. A [Module] that fails is refused with one
//     readable line.
//  3. [Module.NewRoom] makes a [Room], which has no memory yet.
//  4. [Room.Turn] gives the room a copy-on-write view of the image if it has none,
//     waits for a worker, puts the view under an instance of the module, and runs the
//     batch. A trap ([host.Trap]) throws the view away.
//  5. [Room.Sleep] gives the view back; [Room.Replace] does so too and takes another module.
//  6. [Room.Close], [Module.Close], [Runtime.Close], in this order.
//
// A turn computes with a worker's token in its hand. While it waits for storage, the
// token is with another room.
package runtime
