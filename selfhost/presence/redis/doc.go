// Package redis is the presence of all nodes of a fleet, kept in Redis: each node writes down who is connected to
// it, under its identity, and reads what the others wrote.
//
// # Truth
//
// What a node says lives as long as the node's lease. A reader counts only what living nodes say, and
// asks whether one lives that it does not know; so people of a crashed node disappear when its lease does, and
// never earlier, whether or not somebody has cleaned up yet. A node answers for its own connections from memory.
//
// Every field has one writer, who writes what is true at that moment, never a difference. A write may be
// repeated, merged with others or left out for a newer one. After anything that could have lost writes (an error, a
// connection that broke, and once in ten minutes) a node compares all it has written with what is true, and mends it.
//
// # Keys
//
// They begin with the prefix, and none is in a script with another:
//
//	{@user}:presence             hash: node -> the user's connections there, as JSON
//	{@user}:presence:changed     channel: a node began or ceased to have the user
//	{kind/room}:presence         set: the nodes with connections in the room
//	{kind/room}:presence:node    hash: user -> connections, of one node
//	{#node}:presence             set: the users and rooms that the node has written about
//	{#node}:presence:reaping     who cleans up after it, for half a minute
//	{presence}:nodes             set: the nodes that have written anything
//
// A node is put into {presence}:nodes and what it writes about into {#node}:presence before anything
// else, and is taken out after everything else, so the living find all that a dead one has left.
//
// Commands: HSET, HDEL, HGET, HGETALL, HKEYS, SADD, SREM, SISMEMBER, SMEMBERS, SSCAN, SET, EXPIRE, DEL, PUBLISH, SUBSCRIBE, UNSUBSCRIBE.
//
// # Lifecycle
//
//	New      nothing is known of the others yet; joins are remembered
//	Attach   the node is a member: what it knows goes to Redis, and reads work
//	         the membership is lost: reads fail until the next Attach
//	Close    the node's entries stay until it leaves the fleet, which is the caller's to do
package redis
