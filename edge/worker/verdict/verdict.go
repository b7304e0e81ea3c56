package verdict

import (
	"encoding/json"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// What the glue does.
const (
	Refuse  = "refuse"  // answer with Code; Upgrade says that a WebSocket has to be told
	Token   = "token"   // answer with a dev token
	Socket  = "socket"  // forward the upgrade to the room
	Request = "request" // forward the request to the room
	// Wait forwards the upgrade to the room's object, which keeps the socket from its room until
	// the first message has come, and asks again with it.
	Wait = "wait"
	// Presence asks where User is, who need not be the one who asks.
	Presence = "presence"
	// Notify says the body of the request to User, on all devices.
	Notify = "notify"
)

// A Verdict says what is to be done with a request. The names in JSON are those that the room's
// object reads in a visit (edge/host/visit.ts).
type Verdict struct {
	Do string `json:"to"`

	Kind     string `json:"kind,omitempty"`
	Room     string `json:"room,omitempty"`
	Path     string `json:"path,omitempty"`
	Query    string `json:"query,omitempty"`
	User     string `json:"user,omitempty"`
	Claims   string `json:"claims,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Address  string `json:"address,omitempty"`
	// Key is what limits per address count by: the address, or the /64 network of an IPv6
	// address. Every verdict on a client with an address has it.
	Key string `json:"key,omitempty"`
	// Expires is when the credential ends, milliseconds since 1970; 0 for an anonymous client.
	Expires int64 `json:"expires,omitempty"`

	Code    abi.Code `json:"code,omitempty"`
	Detail  string   `json:"detail,omitempty"`
	Upgrade bool     `json:"upgrade,omitempty"`
	Token   string   `json:"token,omitempty"`
}

// Encode returns the verdict as JSON.
func (v Verdict) Encode() string {
	b, err := json.Marshal(v)
	if err != nil { // a struct of texts and numbers always has a form
		panic(err)
	}
	return string(b)
}
