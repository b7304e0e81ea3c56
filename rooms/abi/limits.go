package abi

// Limits of the turn. Every host refuses what crosses them: an event before it
// reaches the room, an effect by failing the whole turn. Sizes are bytes unless
// the name says otherwise.
const (
	// MaxBatch bounds one encoded batch of events, MaxEffects one encoded batch of effects.
	MaxBatch   = 8 << 20
	MaxEffects = 8 << 20
	// MaxBatchEvents and MaxEffectCount bound the number of items in a batch.
	MaxBatchEvents = 1024
	MaxEffectCount = 16384

	// MaxMessage bounds one message in either direction; a kind's option may lower
	// it for received messages (default [DefaultMessageBytes]).
	MaxMessage = 1 << 20
	// MaxKey and MaxKeyValue bound a storage row. Source: Durable Objects allow
	// 2 MB for key and value together.
	MaxKey      = 1024
	MaxKeyValue = 2_000_000
	// MaxBound bounds the ends of a range of keys: a byte more than a key, so that the
	// first key after any other can be named.
	MaxBound = MaxKey + 1
	// MaxAttachment bounds a connection's attachment. Durable Objects keep 16,384
	// bytes per socket, and the host's own share (identity, tags) comes out of them.
	MaxAttachment = 8192
	// MaxTags and MaxTag are the Durable Objects limits for tags of a socket.
	MaxTags = 10
	MaxTag  = 256

	// MaxName bounds a kind's and a room's name.
	MaxName = 128
	// MaxUser, MaxClaims, MaxProtocol, MaxQuery and MaxAddress bound what a connect
	// event says of a client.
	MaxUser     = 128
	MaxClaims   = 2048
	MaxProtocol = 64
	MaxQuery    = 2048
	MaxAddress  = 64
	// MaxTerm bounds the token of an ownership.
	MaxTerm = 64
	// MaxCode bounds a close code.
	MaxCode = 4999
	// MaxCloseReason is RFC 6455's 125 bytes of a control frame less the code.
	MaxCloseReason = 123
	// MaxConflationKey bounds the key under which a newer message replaces an older
	// one that still waits in a connection's queue.
	MaxConflationKey = 128
	// MaxConnections bounds the connections of one room. Source: Durable Objects.
	MaxConnections = 32768

	// MaxListEntries and MaxListBytes bound one answer of storage_list.
	MaxListEntries = 1000
	MaxListBytes   = 4 << 20

	// MaxHeaders, MaxHeader and MaxBody bound an HTTP request to a room and its answer.
	MaxHeaders = 32
	MaxHeader  = 4096
	MaxBody    = 1 << 20
	MaxPath    = 1024
	MaxMethod  = 16

	// MaxAttempt bounds the attempts of an alarm that an event counts, MaxMissed the merged ticks.
	MaxAttempt = 1<<32 - 1
	MaxMissed  = 1<<32 - 1

	// MaxTell bounds what one room tells another.
	MaxTell = 64 << 10

	// MaxWatches bounds the users whom a room watches.
	MaxWatches = 1000
	// MaxNotify bounds what is said to a user, MaxNotification the name of what it is about,
	// MaxNotifies the number of notifications of a turn.
	MaxNotify       = 16 << 10
	MaxNotification = 48
	MaxNotifies     = 256

	// MinTick and MaxTick bound the interval of ticks, in milliseconds.
	MinTick = 10
	MaxTick = 60_000

	// MaxTime bounds every point in time: milliseconds since 1970 that fit an
	// IEEE 754 double exactly, as JavaScript hosts need.
	MaxTime = 1<<53 - 1
	// MaxLogLine bounds one log line; the rest is cut.
	MaxLogLine = 8192
	// SeedSize is the length of a turn's seed.
	SeedSize = 32
	// MaxManifest bounds an encoded manifest, MaxKinds the kinds of one module, MaxSDK the
	// name of what it was written with, MaxProtocols the subprotocols of a kind.
	MaxManifest  = 64 << 10
	MaxKinds     = 64
	MaxSDK       = 128
	MaxProtocols = 8
)

// ReservedPrefix starts every storage key that belongs to the SDK. An author's
// keys never start with it.
const ReservedPrefix = "\x00"
