package redis

import (
	"net/url"
	"strings"

	"github.com/oriel-rooms/oriel/selfhost/presence"
)

// keys makes names in Redis. Users may hold any character: they are escaped, so that they cannot end a hash tag.
// Kinds, rooms and identities hold no braces.
type keys struct{ prefix string }

func (k keys) user(user string) string {
	return k.prefix + ":{@" + url.PathEscape(user) + "}:presence"
}
func (k keys) channel(user string) string { return k.user(user) + ":changed" }
func (k keys) room(p presence.Place) string {
	return k.prefix + ":{" + p.Kind + "/" + p.Room + "}:presence"
}
func (k keys) seats(p presence.Place, node string) string { return k.room(p) + ":" + node }
func (k keys) index(node string) string                   { return k.prefix + ":{#" + node + "}:presence" }
func (k keys) reaping(node string) string                 { return k.index(node) + ":reaping" }
func (k keys) nodes() string                              { return k.prefix + ":{presence}:nodes" }
func (k keys) beat() string                               { return k.prefix + ":{presence}:changed" }

// A name is what an index holds: @user or kind/room.
func userName(user string) string       { return "@" + user }
func placeName(p presence.Place) string { return p.Kind + "/" + p.Room }

// parseName reads a name: a user, or a room if user is empty.
func parseName(name string) (user string, p presence.Place, ok bool) {
	if user, ok = strings.CutPrefix(name, "@"); ok {
		return user, p, user != ""
	}
	p.Kind, p.Room, ok = strings.Cut(name, "/")
	return "", p, ok && p.Kind != "" && p.Room != ""
}
