package runtime_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/runtime"
)

// Rooms in a program of one's own: load a module, make a room, run turns. The module
// here is a test's; it answers a message with a message.
func Example() {
	binary, err := build("./testdata/guest", "1")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	rt, err := runtime.New(ctx, runtime.Options{MemoryLimit: 16 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close(ctx)
	module, err := rt.Load(ctx, binary)
	if err != nil {
		fmt.Println(err) // one line that says what does not fit
		return
	}
	defer module.Close()
	fmt.Println("kind:", module.Manifest().Kinds[0].Name)

	room, err := module.NewRoom("test/lobby")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer room.Close()
	say := func(text string) {
		turn := abi.Batch{Handle: 1, Time: 1_790_000_000_000, Events: []abi.Event{
			&abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte(text)},
		}}
		encoded, err := room.Turn(ctx, abi.AppendBatch(nil, &turn), nil)
		if trap := (*host.Trap)(nil); errors.As(err, &trap) {
			fmt.Println("trap:", trap.Cause)
			return
		} else if err != nil {
			fmt.Println(err)
			return
		}
		effects, err := abi.DecodeEffects(encoded)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, e := range effects {
			fmt.Printf("%s: %s\n", e.Type(), e.(*abi.SendEffect).Data)
		}
	}
	say("count")
	say("count")
	say("loop") // ends when its fuel does; the room's memory is gone
	say("count")
	// Output:
	// kind: test
	// send: 1
	// send: 2
	// trap: fuel
	// send: 1
}
