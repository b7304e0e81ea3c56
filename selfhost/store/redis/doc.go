// Package redis is the [store.Shared] of a cluster: many nodes, one Redis, and for each room one owner
// that can write.
//
// All commits are scripts. One checks the owner's token and the commit's number and applies the
// commit, or refuses it, as a whole; so a commit whose answer is lost is sent again until it is
// decided, and applied once. Pipelines carry the commits of many rooms, several of one room behind
// each other.
//
// # Lifecycle
//
//	Open the store     reads the record of the key prefix
//	Claim              what is due without anybody asking
//	Open a room        takes the ownership; its rows too, if they are few
//	Close, Release     gives it back
//	Fence              the node's lease is not certain any more: nothing is written from here on
//	Close the store
//
// # Ownership
//
// A room's record names its owner: node, epoch and a random term. A claim is a script that takes a
// room without an owner, or one of this node's own, under the next epoch and a new term, and answers
// where the room stands. Of another owner the node's lease is looked at ([Options.Alive]), and if
// that is gone, the claim is made once more for a record that still has exactly that token. Leases
// live in other slots of a Redis Cluster, so the two cannot be one step, and need not: a dead
// identity never returns, and until the record changes only the old owner can write, afterwards it
// cannot.
//
// # Outcomes
//
// What comes of a commit, by what Redis answers:
//
//	applied; or applied before by this token        nil
//	another token                                   ErrFenced
//	a number too low: Redis has lost commits        ErrFenced, and ErrNumber
//	no answer, a broken connection                  undecided: sent again, with back-off up to 1 s
//	NOSCRIPT                                        sent again with the script's source
//	LOADING READONLY MASTERDOWN CLUSTERDOWN
//	TRYAGAIN MOVED ASK BUSY NOREPLICAS NOAUTH
//	WRONGPASS, too many clients, no connection      sent again, with back-off
//	OOM MISCONF NOPERM and all others               failed for certain; the room is void. If an
//	                                                earlier try of the same commit had no answer:
//	                                                sent again, as that one may still arrive
//
// Redis asks whether it can be written before the first writing command of a script and not after it, so
// that a refusal leaves nothing behind. Only a user whose rights are cut down to some of the commands of
// a script can break one in its middle. While a commit fails for certain and a later one of the
// room may still be on its way, the later ones are answered with [store.ErrFenced], and so is
// Reset: the room has to be opened again, under another term, or the late one could be taken for a new
// commit of the same number.
//
// Fence answers all that waits with [store.ErrFenced]. [Store.Away] says whether the last command
// got an answer by which something can be written; a store that is away looks for Redis by itself.
// It stops for good ([Store.Stopped]) only when the record of the prefix becomes another cluster's or of
// a newer format.
//
// # What Redis keeps
//
// A commit is answered when Redis answers it, whatever its [store.Durability] says. What that is
// worth is Redis's setting:
//
//	appendonly yes, appendfsync always,     an answered commit survives every crash of Redis, of
//	one Redis, no eviction                  its machine and of nodes
//	appendfsync everysec or no              a crash of the machine may take the newest commits; a
//	                                        crash of Redis alone takes none with no, and with
//	                                        everysec none unless the disk is so slow that Redis was
//	                                        waiting for it: then up to two seconds
//	appendonly no                           a crash takes what came after the last snapshot
//	a replica that lags is promoted         the newest commits of some rooms are gone
//	(Sentinel, Redis Cluster)
//
// After such a loss a room's record is some older one, whole and by itself, as Redis writes the effects
// of a script down as one. An owner that was ahead of it finds out at its next commit, which is
// answered with [store.ErrFenced], and has to open the room again. The epoch may then be one that
// was given before, as nobody can know which were lost; the term is random and new, so that a
// number, or an offset, that was answered under one term never is given again under it.
// redis.Check says at the start which of these lines is the case.
//
// # The time index
//
// Rooms with an alarm or rows in their outbox have an entry in one of 64 sorted sets, due when the alarm
// is, or within the claim time after rows were added. Entries are made, or made earlier, before
// the commit that needs them is sent: early, never missing. That is one more exchange, for commits
// that set an alarm earlier than the entry or are the first to add to the outbox in a claim time;
// all others need none. They are made later, or removed, behind the commits: every quarter of the
// claim time for open rooms that are at rest, at once for a room that is closed. So an entry
// that nothing stands behind (its commit failed) is gone once its room was opened and closed.
// Changes carry the owner's epoch and a number; one that arrives after a later one only ever
// makes the entry earlier.
//
// Claim takes entries that are due and puts them off by the claim time, in one script per shard. So
// an alarm that a dying node had claimed, or whose entry had come due before its owner died, can be
// late by that time. Only Redis's clock counts here. Alarms are due by the clock of the node that set
// them: a difference of the clocks makes them early or late by itself.
//
// In a Redis Cluster the index and a room may be on different nodes. If the index's loses its newest
// writes in a fail-over and the room's does not, the room's alarm waits until somebody opens the room.
//
// # Format 1
//
// Keys begin with the prefix, here p. Strings are binary, numbers decimal without leading zeros.
//
//	p:{meta}           hash: format, cluster (package redis)
//	p:{kind/name}:m    hash: the record
//	    o   owner: node, epoch, term, with one space between; absent while there is none
//	    e   the epoch, which stays when the owner goes
//	    l   how the ownership ended: "" nobody connected, "c" connections at gateways; while there is an
//	        owner how the one before ended, or "d" for a dead one
//	    n   the last commit's number; absent in a room that never committed
//	    t   its time
//	    a   the alarm: scheduled, due and attempts, with spaces; absent if there is none
//	    h   the host's bytes; absent if there are none
//	p:{kind/name}:r    hash: the rows
//	p:{kind/name}:k    sorted set of the rows' keys, all of score 0, so that they are in order
//	p:{kind/name}:o    sorted set of the outbox: id (8 bytes, big-endian) and data, all of score 0
//	p:{wake:n}         sorted set: kind/name by the time when it is due; n is FNV-1a (32 bits) of
//	                   kind/name modulo 64
//	p:{wake:n}:w       hash: kind/name to the epoch and number of the last change of its entry
//
// The record of a room stays for ever, so that its numbers never begin again. That of a room which never
// committed expires a day after it was given back.
//
// # Limits
//
// Deleting a range of rows takes Redis a time that grows with their number, during which it does
// nothing else: a million rows are seconds. A Redis Cluster whose node does not answer at all
// (rather than refuse) holds up a lane of other rooms for the client's timeout at each first try of a
// room that is there.
package redis
