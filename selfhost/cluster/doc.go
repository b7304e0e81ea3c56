// Package cluster makes a server one node of several that share a Redis: it holds the node's
// lease there, keeps up its links to the others, tells the scheduler which rooms are whose, and has
// rooms opened whose alarms are due although nobody is connected.
//
// It runs no room and holds no client's socket: what it decides, the scheduler does.
//
// # Lifecycle
//
//	Join       a lease, a view of the fleet, links, the store
//	Start      with the scheduler that stands on them
//	Drain      the ring leaves the node out; its rooms move
//	Close      the lease is given back
//
// # A lost lease
//
// A node whose lease could not be renewed in time is dead to the others, for ever. It gives up its
// rooms before that can happen, keeps its clients' sockets, and joins again under another identity as
// soon as Redis answers: a [tenure] is the time between a join and its end.
package cluster
