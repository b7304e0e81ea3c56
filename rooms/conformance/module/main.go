// Command module is the conformance module: the kinds of package kinds, compiled with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared ./rooms/conformance/module
package main

import (
	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/conformance/kinds"
)

func init() { kinds.Register(rooms.Registered()) }

func main() {}
