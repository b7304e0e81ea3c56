// Command counter is the README's room, as a module of its own beside the one that ships.
package main

import "github.com/oriel-rooms/oriel/rooms"

type Counter struct{}

func (Counter) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	n, _ := room.Storage().Get("n")
	n = append(n, '|')
	room.Storage().Put("n", n)
	room.Broadcast(rooms.Text(from.User() + " makes it " + string(n)))
}

func init() {
	rooms.Register("counter", func() rooms.Kind { return Counter{} }, rooms.Options{})
}

func main() {}
