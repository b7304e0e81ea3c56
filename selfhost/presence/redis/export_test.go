package redis

import (
	"time"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// Times sets what is otherwise fixed.
func (o Options) Times(gather, poll, audit, retire time.Duration) Options {
	o.gather, o.poll, o.audit, o.retire = gather, poll, audit, retire
	return o
}

// Held returns how many entries are held to be written, or may be at Redis.
func (r *Registry) Held() (dirty, written int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.at.users.dirty) + len(r.at.seats.dirty), len(r.at.users.written) + len(r.at.seats.written)
}

func Encode(all []presence.Connection) string { return encode(all) }

// Decode reads an entry and returns what readers make of it.
func Decode(s string) (presence.User, presence.Devices, error) {
	e, err := decode(s)
	if err != nil {
		return presence.User{}, presence.Devices{}, err
	}
	d, more := e.devices("n", "u")
	return presence.NewUser("u", true, e.visits(), e.Hidden), presence.Devices{Devices: d, More: more}, nil
}

// UserKey is where a user's entries are.
func UserKey(prefix, user string) string { return keys{prefix}.user(user) }

func ParseName(name string) (user string, p presence.Place, ok bool) { return parseName(name) }
