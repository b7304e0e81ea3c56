// Package gateway is the part of a node that holds client connections: the
// WebSocket transport and the HTTP entry of rooms.
//
// It takes a client from the first byte of its HTTP request (limits, path, kind,
// credential, upgrade) to the end of its socket, reads its messages under the limits of
// the kind, finds out when it is gone, and writes frames to it without ever
// waiting for it. What a room is, when a turn is durable and to whom an effect goes is
// not known here: that is behind [Rooms]. Who may come in is behind [Admitter].
//
// What it never does: it never blocks a caller of [Connection.Send] or
// [Connection.Close] on a client, never keeps more than the kind's queue for one
// connection, never writes a credential anywhere, and never calls [Rooms] while it holds
// a lock.
//
// # Lifecycle
//
// [New] starts one goroutine, the beat, for all heartbeats. Each socket has one more,
// its reader; a second one lives only while bytes wait to be written.
// [Gateway.Drain] closes all connections in an orderly way, [Gateway.Close] ends what is
// left. [NewHTTPServer] makes the http.Server with the limits that a server open to the
// internet needs.
//
// # Order of admission
//
//	attempts per address (plain 429) -> path and names -> sockets per address and in total
//	-> kind -> subprotocol -> credential and origin (Admitter) -> upgrade -> connect event
//	-> the room may refuse
//
// A refused WebSocket upgrade is completed and then closed with the code and the
// reason of package abi's table, because a browser shows its script neither
// status nor body of an answer to a handshake. Every other request gets the code's HTTP
// status and a small JSON body.
//
// # Locks
//
// The order is Gateway.mu, then addressTable.mu, then Socket.mu. No function
// holds two of them today.
package gateway
