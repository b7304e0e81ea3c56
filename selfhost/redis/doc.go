// Package redis is how this server connects to Redis, and what it expects of it. The packages that
// keep something there (the store, the membership of nodes, presence) use it; it keeps nothing
// itself but one record, which says whose a key prefix is.
//
// # Lifecycle
//
//	New      a client; nothing is sent yet
//	Check    can this Redis be used, and what does it promise to keep
//	Join     is the prefix ours, in a format that this program reads
//
// # What Redis must be
//
// Redis 6.2 or later, or Valkey (the tests run with 7.0): one server, a master with Sentinels, or a Redis Cluster. TLS with
// rediss:// URLs. A user limited by ACL needs the keys <prefix>:* and these commands:
//
//	connecting    hello auth select ping time info; in a Cluster: cluster|slots command
//	scripts       eval evalsha
//	text          get set
//	hashes        hget hmget hgetall hkeys hset hsetnx hdel hexists
//	sets          sadd srem sismember smembers sscan
//	sorted sets   zadd zrem zcard zcount zrange zrangebylex zrevrangebylex zrangebyscore zremrangebylex
//	keys          del expire pexpire persist
//	channels      publish subscribe unsubscribe, on <prefix>:* (&<prefix>:* in the rule)
//	optional      config|get: without it nobody can tell what survives a crash of Redis
//
// [Check] tries each of them on a key of its own, because asking (ACL DRYRUN) is itself a right that
// few users have. A script is checked command by command while it runs, so a user whose rights are
// cut down later may break one in its middle: Check again before.
//
// # Retries
//
// The client library repeats commands by itself after an error of the network, so that a command
// may run twice. Here that is off. In a Cluster the library has another such loop, which only
// commands made by [Script.Command] keep out of. What is repeated, is repeated by whoever knows
// that it may be.
//
// # Keys
//
// A key is <prefix>:{tag}suffix. What one script touches has one tag, so that a Cluster keeps it on
// one node. Prefixes and names hold no braces. <prefix>:{meta} is the record of [Join]:
//
//	format    1
//	cluster   the id of the nodes that share the prefix: given, or drawn by the first of them
package redis
