// Package memory holds the linear memories of rooms: an [Image] is the memory of a module
// after its start, a [Memory] is one room's view of it, and a [Slot] puts one view
// after another under a single WebAssembly instance.
//
// On Linux a view is a private, copy-on-write mapping of the image: it costs the pages
// that the room changes. Elsewhere, and where a mapping cannot be had, it is a plain
// copy. Both behave the same.
//
// The package knows nothing of WebAssembly but the size of a page, and never runs code.
//
// Lifecycle: [NewImage], [Image.New] for each room, [Memory.Release], [Image.Close]
// after the last one.
package memory
