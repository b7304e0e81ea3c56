// Package session gives a room the session protocol of PROTOCOL.md: named events with a
// durable history, publishing exactly once and in order, resume, requests, signals and
// presence. It is written once, on the SDK, and runs wherever rooms run.
//
// A kind of such a room is a Go value with a few small optional interfaces:
//
//	type Chat struct{}
//
//	func (Chat) Publish(room *session.Room, from *session.Member, p session.Publish) (session.Event, error) {
//		if p.Event != "message" {
//			return session.Event{}, abi.CodeUnknownEvent
//		}
//		return p.Accept(), nil
//	}
//
//	func init() {
//		session.Register("chat", func() session.Kind { return Chat{} }, session.Options{})
//	}
//
// # Life of a connection
//
// Admit is asked when a client connects (and before an HTTP request is answered). The client
// says hello within the hello timeout; Join is asked, and the client is a member: it
// gets what it missed and then what happens. Publish, Request and Signal are its
// messages. When a user's last connection has been gone for the grace time, Leave is told.
//
// # What survives
//
// A room sleeps between any two turns, so everything that the protocol promises lies in
// the room's reserved storage or in the connections' attachments: a publish writes its
// event, its offset and the session's number in one turn. The kind's value is only a cache,
// as in package rooms. Timers of the protocol share the room's one alarm with the kind's own.
//
// # What it never does
//
// It never keeps a room awake, never sends what is not durable (unless the kind made an
// event ephemeral), never answers one publish in two ways, and never lets a client's
// input grow anything without bound.
package session
