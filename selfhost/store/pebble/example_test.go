package pebble_test

import (
	"context"
	"fmt"
	"os"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/selfhost/store"
	"github.com/oriel-rooms/oriel/selfhost/store/pebble"
)

func Example() {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()

	s, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		panic(err)
	}
	room, err := s.Open(ctx, store.RoomID{Kind: "chat", Name: "lobby"})
	if err != nil {
		panic(err)
	}

	answered := make(chan error)
	room.Commit(store.Commit{
		Number: room.State().Number + 1,
		Time:   1790000000000,
		Writes: []store.Write{{Op: store.Put, Key: []byte("topic"), Value: []byte("tea")}},
		Alarm:  &store.Alarm{Scheduled: 1790000060000, Due: 1790000060000},
		Outbox: [][]byte{[]byte("tell another room")},
	}, func(err error) { answered <- err })

	// The next turn reads it at once; its effects leave after the answer.
	rows, _ := room.List(ctx, abi.ListRequest{Limit: 10})
	fmt.Printf("%s = %s\n", rows.Entries[0].Key, rows.Entries[0].Value)
	fmt.Println("answer:", <-answered)

	// What has to be done without anybody asking, at a start.
	for alarm, err := range s.Alarms(ctx, 1790000099999) {
		fmt.Println("due:", alarm.Room, err)
	}
	for id, err := range s.Outboxes(ctx) {
		fmt.Println("outbox:", id, err)
	}
	fmt.Println("close:", s.Close())
	// Output:
	// topic = tea
	// answer: <nil>
	// due: chat/lobby <nil>
	// outbox: chat/lobby <nil>
	// close: <nil>
}
