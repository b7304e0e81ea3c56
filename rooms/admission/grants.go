package admission

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// GrantsClaim is the claim that narrows what a token allows. A token without it
// allows everything that its user may do:
//
//	"oriel": {"rooms": ["chat/team-*", "arena/lobby"], "actions": ["connect", "publish"]}
//
// Without "rooms" every room is allowed, without "actions" every action but "notify", which is
// a backend's and has to be named; an empty list allows nothing. An unknown member is refused, so that a misspelt restriction never
// widens a token. A room gets the claim with the others, and may obey it for what
// travels inside a connection.
const GrantsClaim = "oriel"

// maxPatterns bounds the patterns of one token.
const maxPatterns = 64

// Action is what a token may allow.
type Action uint8

// The actions.
const (
	// ActionConnect opens connections, by any transport, and reads with GET.
	ActionConnect Action = 1 << iota
	// ActionPublish sends requests that change something: POST, PUT, PATCH, DELETE.
	ActionPublish
	// ActionPresence asks who is there.
	ActionPresence
	// ActionNotify says something to a user in whatever room, from outside of the rooms. No token has it that does
	// not name it: what every user's token allows, users could do to each other.
	ActionNotify
)

const allActions = ActionConnect | ActionPublish | ActionPresence

var actionNames = map[string]Action{
	"connect": ActionConnect, "publish": ActionPublish, "presence": ActionPresence,
	"notify": ActionNotify,
}

// String returns the name of one action in the claim.
func (a Action) String() string {
	for name, v := range actionNames {
		if v == a {
			return name
		}
	}
	return fmt.Sprintf("action_%d", uint8(a))
}

// Grants are what a credential allows. The zero value allows nothing.
type Grants struct {
	rooms   []pattern
	every   bool // every room
	actions Action
}

// pattern is "kind/room"; either half may end in "*", which stands for any ending.
type pattern struct{ kind, room string }

// Everything returns grants that allow every action but [ActionNotify] in every room.
func Everything() Grants { return Grants{every: true, actions: allActions} }

// Allows reports whether the grants allow an action in a room.
func (g Grants) Allows(a Action, kind, room string) bool {
	if g.actions&a != a || a == 0 {
		return false
	}
	if g.every {
		return true
	}
	return slices.ContainsFunc(g.rooms, func(p pattern) bool { return matches(p.kind, kind) && matches(p.room, room) })
}

// AllowsEverywhere reports whether the grants allow an action in every room.
func (g Grants) AllowsEverywhere(a Action) bool {
	if g.actions&a != a || a == 0 {
		return false
	}
	return g.every || slices.Contains(g.rooms, pattern{"*", "*"})
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}

// ParseGrants reads the value of [GrantsClaim]. The error wraps [ErrClaims].
func ParseGrants(claim []byte) (Grants, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(claim, &members); err != nil || members == nil {
		return Grants{}, fmt.Errorf("%w: %s is not an object", ErrClaims, GrantsClaim)
	}
	g := Everything()
	for name, raw := range members {
		var list []string
		if err := json.Unmarshal(raw, &list); err != nil || list == nil {
			return Grants{}, fmt.Errorf("%w: %s.%s is not a list of strings", ErrClaims, GrantsClaim, name)
		}
		var err error
		switch name {
		case "rooms":
			g.every = false
			g.rooms, err = parsePatterns(list)
		case "actions":
			g.actions, err = parseActions(list)
		default:
			err = errors.New("unknown member " + name)
		}
		if err != nil {
			return Grants{}, fmt.Errorf("%w: %s: %w", ErrClaims, GrantsClaim, err)
		}
	}
	return g, nil
}

func parsePatterns(list []string) ([]pattern, error) {
	if len(list) > maxPatterns {
		return nil, fmt.Errorf("more than %d rooms", maxPatterns)
	}
	patterns := make([]pattern, 0, len(list))
	for _, s := range list {
		kind, room, ok := strings.Cut(s, "/")
		if !ok || !validPattern(kind) || !validPattern(room) {
			return nil, fmt.Errorf("%q is not like chat/lobby, chat/team-* or */*", s)
		}
		patterns = append(patterns, pattern{kind, room})
	}
	return patterns, nil
}

func validPattern(s string) bool {
	prefix, wild := strings.CutSuffix(s, "*")
	// "." and ".." are no names, and good beginnings of names.
	return wild && (prefix == "" || abi.ValidName(prefix+"x") && len(prefix) <= abi.MaxName) || !wild && abi.ValidName(s)
}

func parseActions(list []string) (Action, error) {
	var actions Action
	for _, s := range list {
		a, ok := actionNames[s]
		if !ok {
			return 0, fmt.Errorf("unknown action %q", s)
		}
		actions |= a
	}
	return actions, nil
}
