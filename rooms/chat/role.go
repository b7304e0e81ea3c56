package chat

import (
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// The roles.
const (
	roleOwner     = "owner"
	roleModerator = "moderator"
	roleMember    = "member"
)

func (c *Chat) role(m *session.Member) string {
	if m.User() != "" && m.User() == c.settings.owner {
		return roleOwner
	}
	if claimsModerator(m.Claims()) {
		return roleModerator
	}
	return roleMember
}

// moderates reports whether a member may do what members may not.
func (c *Chat) moderates(m *session.Member) bool { return c.role(m) != roleMember }

// claimsModerator looks for "role":"moderator" in the claims of a verified credential.
func claimsModerator(claims []byte) bool {
	if len(claims) == 0 {
		return false
	}
	found := false
	r := jsonx.NewReader(claims)
	for key := range r.Object() {
		if string(key) == "role" && r.Peek() == '"' {
			found = string(r.Bytes()) == roleModerator
		}
	}
	return found && r.End() == nil
}
