package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

const (
	// entryVersion is the format of an entry. Readers ignore fields that they do not know.
	entryVersion = 1
	// maxEntry bounds an entry, in bytes.
	maxEntry = 4 << 20
)

// An entry is what one node says of one user. One without connections says that the user lingers.
type entry struct {
	V      int     `json:"v"`
	Hidden int     `json:"hidden,omitempty"` // connections in rooms that are left out
	Visits []visit `json:"rooms,omitempty"`
}

type visit struct {
	Kind        string   `json:"kind"`
	Room        string   `json:"room"`
	Connections int      `json:"n"`
	Since       int64    `json:"since"` // milliseconds since 1970
	Devices     []device `json:"c,omitempty"`
}

type device struct {
	ID     string `json:"id"` // base 36: JSON numbers end at 2^53
	Since  int64  `json:"since"`
	Device string `json:"d,omitempty"`
}

// encode returns the entry of a user's connections, in the order of their IDs. The same connections give the same
// bytes.
func encode(all []presence.Connection) string {
	e := entry{V: entryVersion}
	at := make(map[presence.Place]int, 1) // index in e.Visits
	for n, c := range all {
		since := c.Since.UnixMilli()
		i, ok := at[c.Place]
		if !ok {
			if len(e.Visits) == presence.MaxRooms {
				e.Hidden++
				continue
			}
			i = len(e.Visits)
			at[c.Place] = i
			e.Visits = append(e.Visits, visit{Kind: c.Place.Kind, Room: c.Place.Room, Since: since})
		}
		v := &e.Visits[i]
		v.Connections++
		v.Since = min(v.Since, since)
		if n < presence.MaxDevices {
			v.Devices = append(v.Devices, device{ID: strconv.FormatUint(c.ID, 36), Since: since, Device: c.Device})
		}
	}
	b, _ := json.Marshal(e) // cannot fail: there is nothing in it that JSON has not
	return string(b)
}

// decode reads an entry. The error wraps [presence.ErrFormat].
func decode(s string) (entry, error) {
	var e entry
	if len(s) > maxEntry {
		return e, fmt.Errorf("%w: an entry of %d bytes", presence.ErrFormat, len(s))
	}
	if err := json.Unmarshal([]byte(s), &e); err != nil {
		return e, fmt.Errorf("%w: %v", presence.ErrFormat, err)
	}
	ok := e.V == entryVersion && e.Hidden >= 0 && e.Hidden <= maxEntry && len(e.Visits) <= presence.MaxRooms
	for _, v := range e.Visits {
		ok = ok && v.Kind != "" && v.Room != "" && v.Connections > 0 && v.Connections <= maxEntry && len(v.Devices) <= v.Connections
		for _, d := range v.Devices {
			_, err := strconv.ParseUint(d.ID, 36, 64)
			ok = ok && err == nil && len(d.Device) <= presence.MaxDevice
		}
	}
	if !ok {
		return entry{}, fmt.Errorf("%w: an entry of version %d", presence.ErrFormat, e.V)
	}
	return e, nil
}

// visits returns where the user is.
func (e entry) visits() []presence.Visit {
	visits := make([]presence.Visit, len(e.Visits))
	for i, v := range e.Visits {
		visits[i] = presence.Visit{Kind: v.Kind, Room: v.Room, Connections: v.Connections, Since: v.Since}
	}
	return visits
}

// devices returns the connections, and whether some are left out.
func (e entry) devices(node, user string) (all []presence.Device, more bool) {
	more = e.Hidden > 0
	for _, v := range e.Visits {
		more = more || len(v.Devices) < v.Connections
		for _, d := range v.Devices {
			id, _ := strconv.ParseUint(d.ID, 36, 64) // decode has looked at it
			all = append(all, presence.Device{Node: node, Connection: presence.Connection{
				ID: id, User: user, Place: presence.Place{Kind: v.Kind, Room: v.Room}, Device: d.Device, Since: time.UnixMilli(d.Since),
			}})
		}
	}
	return all, more
}
