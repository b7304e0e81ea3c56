package admission

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Facts are what the host already knows or has when it asks.
type Facts struct {
	// Kind finds the options of a kind in the modules that are loaded. Nil: there are none.
	Kind func(name string) (abi.KindOptions, bool)
	// Loopback says that the listener which took the request is bound to a loopback
	// address. Only then is a dev [Policy] obeyed.
	Loopback bool
	// FirstMessage says that the host can hold an upgraded socket back from its room
	// until the credential has come as its first message.
	FirstMessage bool
	// Credential is the token that the host got in answer to [NeedFirstMessage].
	Credential string
}

// A Decision is a *[Allow], a *[Refuse] or a *[Need].
type Decision interface{ decision() }

// Allow lets a request in.
type Allow struct {
	Route    Route
	Identity Identity
	// Protocol is the subprotocol to answer a WebSocket upgrade with; empty means none.
	Protocol string
}

// Refuse turns a request away.
type Refuse struct {
	Code abi.Code
	// Detail is a sentence for people. It never holds a credential.
	Detail string
	// Upgrade says that a WebSocket was asked for. A browser does not show its page the
	// status of a failed upgrade, so a host that wants the page to know Code accepts the
	// upgrade and closes the socket with it.
	Upgrade bool
	// Protocol is the subprotocol for that: one that the client offered, because a
	// browser drops a socket whose offers all went unanswered. Never a credential.
	Protocol string
}

// Need asks the host for something. The host gets it and calls [Door.Decide] again.
type Need struct {
	What NeedKind
	// Route and Protocol are as in [Allow]; nothing of them is admitted yet.
	Route    Route
	Protocol string
}

// NeedKind is what a host must supply.
type NeedKind uint8

// NeedFirstMessage asks for the credential in the first message of the upgraded socket,
// see [FirstMessage]; it goes into [Facts] as Credential. The host bounds the time
// and the number of sockets that wait, and no room hears of them.
//
// The numbers 2 to 4 are reserved: the keys of an issuer, the answer of an
// introspection endpoint, the consumption of a ticket.
const NeedFirstMessage NeedKind = 1

func (*Allow) decision()  {}
func (*Refuse) decision() {}
func (*Need) decision()   {}

// An Identity is who a verified credential says the client is.
type Identity struct {
	// User is the token's subject; empty for an anonymous client.
	User string
	// Claims is a JSON object of the claims beside the registered ones (RFC 7519,
	// section 4.1), compact, at most [abi.MaxClaims] bytes; nil when there are none. A room
	// gets it with the connection. The grants claim is part of it.
	Claims []byte
	// Expires is when the credential ends; zero for an anonymous client. A host closes the
	// connection then, with [abi.CodeTokenExpired].
	Expires time.Time
	// Grants are what the credential allows.
	Grants Grants
}
