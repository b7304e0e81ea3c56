package redis_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/presence"
	"github.com/oriel-rooms/oriel/selfhost/presence/redis"
)

// TestGoldenEntry: nodes of other versions read what this one writes.
func TestGoldenEntry(t *testing.T) {
	all := []presence.Connection{
		{ID: 71, User: "ann", Place: lobby, Device: "phone", Since: noon.Add(5)},
		{ID: 1<<64 - 1, User: "ann", Place: lobby, Since: noon},
	}
	const golden = `{"v":1,"rooms":[{"kind":"chat","room":"lobby","n":2,"since":1790000000000,"c":[{"id":"1z","since":1790000000000,"d":"phone"},{"id":"3w5e11264sgsf","since":1790000000000}]}]}`
	equal(t, "an entry", redis.Encode(all), golden)
	equal(t, "one who lingers", redis.Encode(nil), `{"v":1}`)
	for _, s := range []string{golden, strings.Replace(golden, "{", `{"later":[],`, 1)} {
		u, d, err := redis.Decode(s)
		if err != nil || u.Connections != 2 || len(d.Devices) != 2 || d.More || d.Devices[1].ID != 1<<64-1 {
			t.Fatalf("%+v, %+v, %v", u, d, err)
		}
	}
	for _, bad := range []string{
		"", "null", "[]", `{"v":2}`, `{"v":1,"hidden":-1}`, `{"v":1,"rooms":[{}]}`,
		`{"v":1,"rooms":[{"kind":"a","room":"b","n":0}]}`, `{"v":1,"rooms":[{"kind":"a","room":"b","n":1,"c":[{"id":"1"},{"id":"2"}]}]}`,
		`{"v":1,"rooms":[{"kind":"a","room":"b","n":1,"c":[{"id":"-"}]}]}`,
		`{"v":1,"rooms":[{"kind":"a","room":"b","n":1,"c":[{"id":"1","d":"` + strings.Repeat("x", presence.MaxDevice+1) + `"}]}]}`,
		`{"v":1,"x":"` + strings.Repeat("x", 4<<20) + `"}`,
	} {
		if _, _, err := redis.Decode(bad); !errors.Is(err, presence.ErrFormat) {
			t.Errorf("%.60s: %v", bad, err)
		}
	}
}

// TestLimits: what is left out of an entry is counted.
func TestLimits(t *testing.T) {
	var all []presence.Connection
	for i := range presence.MaxRooms + 5 {
		all = append(all, presence.Connection{ID: uint64(i + 1), User: "ann", Place: presence.Place{Kind: strings.Repeat("k", 128), Room: strings.Repeat("r", 120) + strconv.Itoa(i)}})
	}
	s := redis.Encode(all)
	u, d, err := redis.Decode(s)
	if err != nil || u.Connections != len(all) || len(u.Rooms) != presence.MaxRooms || !u.More || !d.More || len(d.Devices) != presence.MaxDevices {
		t.Fatal(u.Connections, len(u.Rooms), u.More, d.More, len(d.Devices), err)
	}
	u, d, err = redis.Decode(redis.Encode(all[:presence.MaxRooms]))
	if err != nil || u.More || d.More {
		t.Fatal(u.More, d.More, err)
	}
	one := all[:0]
	for i := range presence.MaxDevices + 1 {
		one = append(one, presence.Connection{ID: uint64(i + 1), User: "ann", Place: lobby})
	}
	u, d, err = redis.Decode(redis.Encode(one))
	if err != nil || u.More || !d.More || u.Connections != len(one) || len(d.Devices) != presence.MaxDevices {
		t.Fatal(u, err)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(redis.Encode([]presence.Connection{{ID: 71, User: "ann", Place: lobby, Device: "phone", Since: noon}}))
	f.Add(`{"v":1,"hidden":3}`)
	f.Fuzz(func(t *testing.T, s string) {
		u, d, err := redis.Decode(s)
		if err != nil {
			if !errors.Is(err, presence.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if u.Connections < len(d.Devices) || len(u.Rooms) > presence.MaxRooms || !u.Online {
			t.Fatalf("%+v, %d devices", u, len(d.Devices))
		}
	})
}

func FuzzName(f *testing.F) {
	f.Add("@ann")
	f.Add("chat/lobby")
	f.Fuzz(func(t *testing.T, name string) {
		user, p, ok := redis.ParseName(name)
		if ok && "@"+user != name && p.Kind+"/"+p.Room != name {
			t.Fatalf("%q is %q and %+v", name, user, p)
		}
	})
}
