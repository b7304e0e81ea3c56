// Command shipped is the module of the kinds that ship with Oriel: chat. It is built for
// WebAssembly (`make rooms`) and carried inside the oriel binary; main never runs.
package main

import _ "github.com/oriel-rooms/oriel/rooms/chat" // registers the kind "chat"

func main() {}
