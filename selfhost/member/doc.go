// Package member makes nodes that share a Redis a fleet: each holds a lease there, and each knows the
// others, newest state pushed and polled for.
//
// # Identity
//
// A node joins under an identity, address#generation.random. Generations rise and never repeat; the random part
// keeps identities unique even if Redis forgets the counter. An identity lives as long as its lease
// at Redis. Once any node was told that it is dead, it is dead for ever: the script that tells so removes it, and
// a lease that is gone cannot be renewed. A node that lost its lease joins again, under another
// identity.
//
// # Time
//
// Leases run on Redis's clock alone; no two machines' clocks are ever compared. A node measures its
// own lease on its own clock, from the moment before it sent the renewal, so that it always
// stops before the lease can end at Redis:
//
//	renewed after    1/4 of the lease, and again every 1/20 until Redis answers
//	doubtful after   3/5: it should take on nothing new ([Options.Doubt])
//	over after       4/5: [Membership.Certain] is false, [Membership.Lost] is closed
//
// The last fifth is for clocks that run at different speeds. The clock counts while the machine is suspended
// (CLOCK_BOOTTIME on Linux; elsewhere Go's monotonic clock, which may not), and a wall clock that is set
// does not matter. A process that was stopped finds out at its next call of Certain, before timers run.
//
// A step of Redis's own clock ends leases early or late, and so does a fail-over to a
// replica that lags. Neither lets two owners write: every write is checked against the record of its room.
//
// # Versions
//
// A node says which versions of the link it speaks and which formats it reads. [Membership.Agree] raises what is
// written once all who live read it; from then on the join of a node that does not is refused, as is that of a
// node which has no version of the link in common with one that lives.
//
// # What Redis needs
//
// All keys begin with prefix:{nodes}, so they live in one slot of a Redis Cluster. Redis 6.2 or later or
// any Valkey, without eviction. Commands: EVALSHA, EVAL, TIME, GET, SET, ZADD, ZCARD, ZSCORE, ZRANGE, ZRANGEBYSCORE,
// ZREM, HGET, HSET, HDEL, HGETALL, PUBLISH, SUBSCRIBE.
//
// The client's own retries may be on or off: a renewal sent twice does no harm, and a join sent twice leaves a
// lease that nobody renews, which the newer one at the same address hides.
package member
