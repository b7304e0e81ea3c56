package presence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon  = time.UnixMilli(1_790_000_000_000)
	lobby = presence.Place{Kind: "chat", Room: "lobby"}
	arena = presence.Place{Kind: "arena", Room: "one"}
)

func at(id uint64, user string, p presence.Place) presence.Connection {
	return presence.Connection{ID: id, User: user, Place: p, Since: noon.Add(time.Duration(id) * time.Second)}
}

func of(r presence.Registry, user string) presence.User {
	u, err := r.Of(context.Background(), user)
	if err != nil {
		panic(err)
	}
	return u
}

func Example() {
	var r presence.Local
	r.Join(presence.Connection{ID: 1, User: "ann", Place: lobby, Since: noon})
	r.Join(presence.Connection{ID: 2, User: "ann", Place: lobby, Since: noon.Add(time.Second)})
	u, _ := r.Of(context.Background(), "ann")
	b, _ := json.Marshal(u)
	fmt.Println(string(b))
	room, _ := r.In(context.Background(), lobby, 100)
	b, _ = json.Marshal(room)
	fmt.Println(string(b))
	// Output:
	// {"user":"ann","online":true,"connections":2,"rooms":[{"kind":"chat","room":"lobby","connections":2,"since":1790000000000}]}
	// {"kind":"chat","room":"lobby","count":1,"connections":2,"users":[{"user":"ann","connections":2}]}
}

func ExampleWatch() {
	var r presence.Local
	w := r.Watch(func() { fmt.Println("something changed") })
	defer w.Close()
	_ = w.Add("ann", "bob")
	r.Join(presence.Connection{ID: 1, User: "bob", Place: lobby})
	fmt.Println(w.Take())
	// Output:
	// something changed
	// [{ann false} {bob true}]
}

func TestComingAndGoing(t *testing.T) {
	var r presence.Local
	r.Join(at(1, "ann", lobby))
	r.Join(at(1, "ann", lobby)) // once more does nothing
	r.Join(at(2, "ann", arena))
	r.Join(at(3, "", lobby))
	if u := of(&r, "ann"); u.Connections != 2 || len(u.Rooms) != 2 || u.Rooms[0].Kind != "arena" {
		t.Fatalf("%+v", u)
	}
	if d, _ := r.Devices(t.Context(), "ann"); len(d.Devices) != 2 || d.More || d.Devices[0].ID != 1 || d.Devices[1].Place != arena {
		t.Fatalf("%+v", d)
	}
	r.Leave(at(1, "ann", arena)) // where it was counts
	r.Leave(at(1, "ann", lobby)) // one too many does no harm
	r.Leave(at(9, "ann", lobby))
	r.Leave(at(9, "zoe", lobby))
	if u := of(&r, "ann"); u.Connections != 1 || u.Rooms[0].Room != "one" {
		t.Fatalf("%+v", u)
	}
	if room, _ := r.In(t.Context(), lobby, 10); room.Count != 0 || room.Users == nil {
		t.Fatalf("%+v", room)
	}
	r.Leave(at(2, "ann", arena))
	if u := of(&r, "ann"); u.Online || u.Rooms == nil || r.Users() != 0 {
		t.Fatalf("%+v, %d users", u, r.Users())
	}
	if users, rooms := r.Everybody(); len(users)+len(rooms) != 0 {
		t.Fatal(users, rooms)
	}
}

// TestSince: the first of the present connections counts.
func TestSince(t *testing.T) {
	var r presence.Local
	for i := range 5 {
		r.Join(at(uint64(5-i), "ann", lobby))
	}
	r.Leave(at(1, "ann", lobby))
	if v := of(&r, "ann").Rooms[0]; v.Connections != 4 || v.Since != noon.Add(2*time.Second).UnixMilli() {
		t.Fatalf("%+v", v)
	}
}

func TestLimits(t *testing.T) {
	var r presence.Local
	for i := range presence.MaxRooms + 1 {
		r.Join(at(uint64(i+1), "ann", presence.Place{Kind: "chat", Room: strconv.Itoa(i)}))
		if u := of(&r, "ann"); u.More != (i == presence.MaxRooms) || u.Connections != i+1 {
			t.Fatalf("%d rooms: more %v, %d connections", i+1, u.More, u.Connections)
		}
	}
	if d, _ := r.Devices(t.Context(), "ann"); !d.More || len(d.Devices) != presence.MaxDevices {
		t.Fatal(d.More, len(d.Devices))
	}
	for i := range 3 {
		c := at(uint64(10_000+i), strconv.Itoa(i), lobby)
		c.Device = strings.Repeat("d", presence.MaxDevice+1)
		r.Join(c)
	}
	if room, _ := r.In(t.Context(), lobby, 2); room.Count != 3 || len(room.Users) != 2 || room.Users[1].User != "1" {
		t.Fatalf("%+v", room)
	}
	if room, _ := r.In(t.Context(), lobby, -1); room.Count != 3 || len(room.Users) != 0 {
		t.Fatalf("%+v", room)
	}
	if _, all := r.Connections("0"); len(all[0].Device) != presence.MaxDevice {
		t.Fatal(all[0].Device)
	}
}

// TestClose: nothing is left running.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := presence.Local{Grace: time.Hour}
		r.Join(at(4, "ann", lobby))
		r.Leave(at(4, "ann", lobby))
		r.Close()
		time.Sleep(2 * time.Hour)
		if !r.Online("ann") {
			t.Fatal("a closed registry goes on")
		}
	})
}

// TestGrace: one who comes back in time was never away.
func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := presence.Local{Grace: 10 * time.Second}
		var mu sync.Mutex // guards changed
		var changed []string
		r.Changed = func(user string, _ presence.Place) {
			mu.Lock()
			defer mu.Unlock()
			changed = append(changed, user)
		}
		w := r.Watch(func() {})
		if err := w.Add("ann", "bob"); err != nil {
			t.Fatal(err)
		}
		r.Join(at(1, "ann", lobby))
		r.Join(at(2, "bob", lobby))
		w.Take()
		r.Leave(at(1, "ann", lobby))
		time.Sleep(3 * time.Second)
		r.Leave(at(2, "bob", lobby))
		if u := of(&r, "ann"); !u.Online || u.Connections != 0 || len(u.Rooms) != 0 {
			t.Fatalf("%+v", u)
		}
		if room, _ := r.In(t.Context(), lobby, 1); room.Count != 0 {
			t.Fatalf("%+v", room)
		}
		time.Sleep(3 * time.Second)
		r.Join(at(3, "ann", lobby))
		r.Leave(at(3, "ann", lobby)) // her grace begins anew
		time.Sleep(7*time.Second - time.Millisecond)
		if !r.Online("ann") || !r.Online("bob") || len(w.Take()) != 0 {
			t.Fatal("somebody went in the time of grace")
		}
		time.Sleep(2 * time.Millisecond)
		if !r.Online("ann") || r.Online("bob") {
			t.Fatal("grace is over for bob alone")
		}
		if s := w.Take(); len(s) != 1 || s[0] != (presence.Status{User: "bob"}) {
			t.Fatal(s)
		}
		time.Sleep(3 * time.Second)
		if r.Online("ann") || r.Users() != 0 {
			t.Fatal("grace never ends")
		}
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(changed, " "); got != "ann bob ann bob ann ann bob ann" {
			t.Fatal(got)
		}
		w.Close()
	})
}

func TestWatch(t *testing.T) {
	var r presence.Local
	calls := 0
	w := r.Watch(func() { calls++ })
	if err := w.Add("ann", "ann", "bob", ""); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(w.Take()); s != "[{ann false} {bob false}]" || calls != 1 {
		t.Fatal(s, calls)
	}
	if s := w.Take(); len(s) != 0 {
		t.Fatal(s)
	}
	r.Join(at(1, "ann", lobby))
	r.Join(at(2, "ann", lobby)) // online already
	r.Join(at(3, "bob", lobby))
	r.Leave(at(3, "bob", lobby)) // a blink between two looks
	if s := fmt.Sprint(w.Take()); s != "[{ann true}]" || calls != 2 {
		t.Fatal(s, calls)
	}
	second := r.Watch(func() { calls++ })
	if err := second.Add("ann"); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(second.Take()); s != "[{ann true}]" || calls != 3 {
		t.Fatal(s, calls)
	}
	w.Remove("ann", "nobody")
	w.Remove("ann")
	r.Leave(at(1, "ann", lobby))
	r.Leave(at(2, "ann", lobby))
	if s := fmt.Sprint(w.Take(), second.Take()); s != "[] [{ann false}]" {
		t.Fatal(s)
	}
	if u := fmt.Sprint(w.Users(), second.Users()); u != "[bob] [ann]" {
		t.Fatal(u)
	}
	w.Close()
	second.Close()
	r.Join(at(1, "ann", lobby))
	if len(w.Take())+len(second.Take())+len(w.Users()) != 0 {
		t.Fatal("a closed watch goes on")
	}
}

func TestWatchLimit(t *testing.T) {
	var r presence.Local
	w := r.Watch(func() {})
	users := make([]string, presence.MaxWatched)
	for i := range users {
		users[i] = strconv.Itoa(i)
	}
	if err := w.Add(users...); err != nil {
		t.Fatal(err)
	}
	if err := w.Add("one more"); err != presence.ErrLimit {
		t.Fatal(err)
	}
	w.Remove("0")
	if err := w.Add("one", "two"); err != presence.ErrLimit || len(w.Users()) != presence.MaxWatched-1 {
		t.Fatal(err)
	}
	if err := w.Add("one more", "one more", "1"); err != nil {
		t.Fatal(err)
	}
}

func TestHammer(t *testing.T) {
	r := presence.Local{Grace: time.Millisecond}
	defer r.Close()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			w := r.Watch(func() {})
			defer w.Close()
			for k := range 1000 {
				c := at(uint64(i*1000+k+1), []string{"ann", "bob"}[k%2], presence.Place{Kind: "chat", Room: strconv.Itoa(k % 7)})
				r.Join(c)
				_ = w.Add(c.User, "zoe")
				of(&r, c.User)
				w.Take()
				r.Leave(c)
				w.Remove("ann")
			}
		})
	}
	wg.Wait()
	w := r.Watch(func() {})
	defer w.Close()
	if err := w.Add("ann", "bob"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); r.Users() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d users are left", r.Users())
		}
	}
	for _, s := range w.Take() {
		if s.Online {
			t.Fatalf("%+v", s)
		}
	}
}

// TestNewest picks one connection of each device: the newest; at the limit, and where clocks say the same.
func TestNewest(t *testing.T) {
	device := func(id uint64, name string, second int) presence.Device {
		c := presence.Connection{ID: id, User: "ann", Place: lobby, Device: name, Since: noon.Add(time.Duration(second) * time.Second)}
		return presence.Device{Node: "n" + strconv.FormatUint(id%2, 10), Connection: c}
	}
	all := []presence.Device{
		device(1, "phone", 5), device(2, "phone", 9), device(3, "", 1), device(4, "", 1), device(5, "tablet", 7), device(6, "tablet", 7),
	}
	for limit, want := range map[int]string{100: "2 6 4 3", 4: "2 6 4 3", 3: "2 6 4", 1: "2", 0: "", -1: ""} {
		var got []string
		for _, d := range presence.Newest(all, limit) {
			got = append(got, strconv.FormatUint(d.ID, 10))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("at most %d: %s, want %s", limit, s, want)
		}
	}
	if all[0].ID != 1 || len(presence.Newest(nil, 1)) != 0 {
		t.Error("the list was changed")
	}
}
