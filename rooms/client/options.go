package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// Options say which room a client keeps open, and what it does with what comes. Only URL is
// needed.
type Options struct {
	// URL is the room's address, such as "wss://example.com/v1/rooms/chat/lobby"; http and
	// https are read as ws and wss.
	URL string
	// Credential is asked for anew before each connect. Nil: the client is anonymous, and gives up
	// when the server wants to know who it is.
	Credential func(ctx context.Context) (string, error)
	// FirstMessage sends the credential as the first message instead of a header, to
	// servers that take it so.
	FirstMessage bool
	// Binary takes oriel.v1.bin instead of oriel.v1.json.
	Binary bool
	// Resume goes on with a session and a place of an earlier client.
	Resume Place
	// Device names what the client runs on, the same for all rooms, at most 64 bytes: of the clients of one
	// device only the newest is notified. Default: it is a device of its own.
	Device string
	// Hello is what the kind wants to know of a client that enters.
	Hello protocol.Payload

	// Event gets every durable event after the client's place once, in order, and the
	// ephemeral ones. The payload is valid until it returns.
	Event func(*protocol.Event)
	// Signal gets what other members signal.
	Signal func(*protocol.Signal)
	// Notify gets what other rooms or a backend say to the user, and what it is about. The payload is valid until
	// it returns. See Device.
	Notify func(event string, p protocol.Payload)
	// Presence gets changes of who is here; the welcome's list comes as a whole one.
	Presence func(*protocol.Presence)
	// Welcome gets every welcome, before any other message of its connection. There is another one on the
	// same connection when something may have been lost between the server's nodes.
	Welcome func(*protocol.Welcome)
	// Gap is told when events may have been missed: the history does not reach back to
	// the client's place.
	Gap func(reason protocol.Reason)
	// State is told every change.
	State func(State)

	// QueueLength and QueueBytes bound the publishes that wait or await their answers.
	// Defaults 1,000 and 4 MiB.
	QueueLength, QueueBytes int
	// ConnectTimeout bounds one attempt, from the credential to the welcome, and the time until a further
	// welcome on a connection. Default 15 s.
	ConnectTimeout time.Duration
	// CloseTimeout bounds the closing handshake. Default 3 s.
	CloseTimeout time.Duration
	// BackoffBase and BackoffMax bound the wait between attempts, drawn evenly from 0 to
	// BackoffBase * 2^n, at most BackoffMax (full jitter). Defaults 250 ms and 30 s.
	BackoffBase, BackoffMax time.Duration
	// HTTP makes the connections. Default http.DefaultClient.
	HTTP *http.Client
}

// A Place is where a client was in a room's history, and in which session.
type Place struct {
	Session     string
	Incarnation string
	Offset      uint64
	// Known is true if Incarnation and Offset count.
	Known bool
}

func (o Options) withDefaults() (Options, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return o, fmt.Errorf("%w: URL: %w", ErrOptions, err)
	}
	switch u.Scheme {
	case "ws", "wss", "http", "https":
	default:
		return o, fmt.Errorf("%w: URL is not ws, wss, http or https", ErrOptions)
	}
	if len(o.Device) > 64 {
		return o, fmt.Errorf("%w: Device has more than 64 bytes", ErrOptions)
	}
	if o.Device != "" {
		q := u.Query()
		q.Set("device", o.Device)
		u.RawQuery = q.Encode()
		o.URL = u.String()
	}
	if err := o.Hello.Valid(); err != nil {
		return o, fmt.Errorf("%w: Hello: %w", ErrOptions, err)
	}
	if !protocol.ValidToken(o.Resume.Session) || !protocol.ValidToken(o.Resume.Incarnation) || o.Resume.Offset > protocol.MaxInteger {
		return o, fmt.Errorf("%w: Resume is not a place", ErrOptions)
	}
	if min(o.QueueLength, o.QueueBytes) < 0 || min(o.ConnectTimeout, o.CloseTimeout, o.BackoffBase, o.BackoffMax) < 0 {
		return o, fmt.Errorf("%w: a limit is below 0", ErrOptions)
	}
	or(&o.QueueLength, 1000)
	or(&o.QueueBytes, 4<<20)
	or(&o.ConnectTimeout, 15*time.Second)
	or(&o.CloseTimeout, 3*time.Second)
	or(&o.BackoffBase, 250*time.Millisecond)
	or(&o.BackoffMax, 30*time.Second)
	if o.HTTP == nil {
		o.HTTP = http.DefaultClient
	}
	return o, nil
}

func or[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// form is the form of the messages.
func (o *Options) form() protocol.Form {
	if o.Binary {
		return protocol.Binary
	}
	return protocol.JSON
}
