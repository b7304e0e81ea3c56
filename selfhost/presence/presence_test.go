package presence_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

var (
	noon  = time.UnixMilli(1_790_000_000_000)
	lobby = presence.Place{Kind: "chat", Room: "lobby"}
	arena = presence.Place{Kind: "arena", Room: "one"}
)

func Example() {
	var r presence.Registry
	r.Join("ann", lobby, noon)
	r.Join("ann", lobby, noon.Add(time.Second))
	b, _ := json.Marshal(r.Of("ann"))
	fmt.Println(string(b))
	// Output: {"user":"ann","online":true,"connections":2,"rooms":[{"kind":"chat","room":"lobby","connections":2,"since":1790000000000}]}
}

func TestComingAndGoing(t *testing.T) {
	var r presence.Registry
	r.Join("ann", lobby, noon)
	r.Join("ann", arena, noon)
	r.Join("", lobby, noon)
	if u := r.Of("ann"); u.Connections != 2 || len(u.Rooms) != 2 || u.Rooms[0].Kind != "arena" {
		t.Fatalf("%+v", u)
	}
	r.Leave("ann", lobby)
	r.Leave("ann", lobby) // one too many does no harm
	if u := r.Of("ann"); u.Connections != 1 || u.Rooms[0].Room != "one" {
		t.Fatalf("%+v", u)
	}
	r.Leave("ann", arena)
	if u := r.Of("ann"); u.Online || u.Rooms == nil || r.Users() != 0 {
		t.Fatalf("%+v, %d users", u, r.Users())
	}
}

func TestManyRoomsAreCut(t *testing.T) {
	var r presence.Registry
	for i := range presence.MaxRooms + 1 {
		r.Join("ann", presence.Place{Kind: "chat", Room: strconv.Itoa(i)}, noon)
		if u := r.Of("ann"); u.More != (i == presence.MaxRooms) || u.Connections != i+1 {
			t.Fatalf("%d rooms: more %v, %d connections", i+1, u.More, u.Connections)
		}
	}
}

func TestHammer(t *testing.T) {
	var r presence.Registry
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 1000 {
				p := presence.Place{Kind: "chat", Room: strconv.Itoa(k % 7)}
				r.Join("ann", p, noon)
				r.Of("ann")
				if i%2 == 0 {
					r.Join("bob", p, noon)
					r.Leave("bob", p)
				}
				r.Leave("ann", p)
			}
		})
	}
	wg.Wait()
	if r.Users() != 0 {
		t.Fatalf("%d users are left", r.Users())
	}
}
