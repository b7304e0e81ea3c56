package abi

import "strconv"

// EffectType is the number of an effect's type in the encoding.
type EffectType uint8

// The types of effects.
const (
	EffectSend        EffectType = 1
	EffectBroadcast   EffectType = 2
	EffectClose       EffectType = 3
	EffectPut         EffectType = 4
	EffectDelete      EffectType = 5
	EffectDeleteRange EffectType = 6
	EffectAlarm       EffectType = 7
	EffectAttach      EffectType = 8
	EffectTags        EffectType = 9
	EffectMute        EffectType = 10
	EffectTick        EffectType = 11
	EffectRespond     EffectType = 12
	EffectTell        EffectType = 13
	EffectJoin        EffectType = 14
	EffectWatch       EffectType = 15
	EffectNotify      EffectType = 16
)

var effectNames = [...]string{"", "send", "broadcast", "close", "put", "delete", "delete_range", "alarm", "attach", "tags", "mute", "tick", "respond", "tell", "join", "watch", "notify"}

// String returns the word of DESIGN for the type, such as "broadcast".
func (t EffectType) String() string {
	if t > 0 && int(t) < len(effectNames) {
		return effectNames[t]
	}
	return "effect_" + strconv.Itoa(int(t))
}

// An Effect is what a room wants: one of the *Effect types of this package.
//
// An effect on a connection that has ended, or that the room does not have, does
// nothing: the room may not know yet.
type Effect interface {
	Type() EffectType
	// Append appends the encoding.
	Append(b []byte) []byte
}

// SendEffect sends one message to one connection.
type SendEffect struct {
	Connection uint64
	Encoding   Encoding
	// Key, when not empty, is the conflation key: a newer message of the same key
	// takes the place of an older one that still waits in the connection's queue.
	Key  string
	Data []byte
}

// BroadcastEffect sends one message to every connection that is not muted and that
// passes all the filters.
type BroadcastEffect struct {
	Encoding Encoding
	// Protocol, when not empty, keeps connections of exactly this subprotocol.
	Protocol string
	// Tag, when not empty, keeps connections that carry it.
	Tag string
	// Key is the conflation key, as of [SendEffect].
	Key string
	// Except leaves these connections out.
	Except []uint64
	Data   []byte
}

// CloseEffect ends a connection; in the turn of its connect event it refuses the client. The
// room gets a [CloseEvent] in a later turn, and no message of the connection before that.
type CloseEffect struct {
	Connection uint64
	Code       Code
	Reason     string
}

// PutEffect writes one row of the room's storage.
type PutEffect struct{ Key, Value []byte }

// DeleteEffect removes one row.
type DeleteEffect struct{ Key []byte }

// DeleteRangeEffect removes the rows from Start up to, not including, End. An empty
// End means to the last row. Each is at most [MaxBound] bytes.
type DeleteRangeEffect struct{ Start, End []byte }

// AlarmEffect sets the room's one alarm, in milliseconds since 1970; 0 clears it. A
// time that has passed is due at once.
type AlarmEffect struct{ Time uint64 }

// AttachEffect sets a connection's attachment. It lives exactly as long as the
// connection, through sleep and moves.
type AttachEffect struct {
	Connection uint64
	Data       []byte
}

// TagsEffect sets a connection's tags. It is allowed only in the turn of the
// connection's connect event.
type TagsEffect struct {
	Connection uint64
	Tags       []string
}

// MuteEffect takes a connection out of broadcasts, or back in.
type MuteEffect struct {
	Connection uint64
	Muted      bool
}

// TickEffect asks for a [TickEvent] every Interval milliseconds, from [MinTick] to
// [MaxTick]; 0 stops it. It ends with the room's memory: a room asks again when
// it starts. A ticking room does not sleep.
type TickEffect struct{ Interval uint64 }

// RespondEffect answers a [RequestEvent]. A second answer does nothing.
type RespondEffect struct {
	Request uint64
	Status  uint64 // 200 to 599
	Headers []Header
	Body    []byte
}

// TellEffect says something to another room of the same service. It is a row of the
// commit and is executed at least once.
type TellEffect struct {
	Kind, Room string
	Data       []byte
}

// JoinEffect marks the place among a turn's effects where the room took up a connect event
// of the turn: broadcasts before it, which are answers to earlier events, do not go to
// the new connection. Without it a connection is in the room before the turn's first effect.
type JoinEffect struct{ Connection uint64 }

// WatchEffect has the room told whether a user is online: by a [PresenceEvent] soon, and by
// another at every change, until On is false or the room starts again: a start begins with nobody
// watched, and the room asks again. A room watches at most [MaxWatches] users.
type WatchEffect struct {
	User string
	On   bool
}

// NotifyEffect says something to a user, in whatever rooms of the service the user is: each device
// is reached once, by a [NotifiedEvent] in the room of its newest connection. It is not durable: it leaves when
// the turn is, and what cannot be delivered then is lost. A turn has at most [MaxNotifies].
type NotifyEffect struct {
	User string
	// Event names what it is about; see [ValidNotification].
	Event    string
	Encoding Encoding
	Data     []byte
}

// Type returns the number of the effect's type in the encoding.
func (*WatchEffect) Type() EffectType { return EffectWatch }

// Type returns the number of the effect's type in the encoding.
func (*NotifyEffect) Type() EffectType { return EffectNotify }

// Type returns the number of the effect's type in the encoding.
func (*JoinEffect) Type() EffectType { return EffectJoin }

// Type returns the number of the effect's type in the encoding.
func (*SendEffect) Type() EffectType { return EffectSend }

// Type returns the number of the effect's type in the encoding.
func (*BroadcastEffect) Type() EffectType { return EffectBroadcast }

// Type returns the number of the effect's type in the encoding.
func (*CloseEffect) Type() EffectType { return EffectClose }

// Type returns the number of the effect's type in the encoding.
func (*PutEffect) Type() EffectType { return EffectPut }

// Type returns the number of the effect's type in the encoding.
func (*DeleteEffect) Type() EffectType { return EffectDelete }

// Type returns the number of the effect's type in the encoding.
func (*DeleteRangeEffect) Type() EffectType { return EffectDeleteRange }

// Type returns the number of the effect's type in the encoding.
func (*AlarmEffect) Type() EffectType { return EffectAlarm }

// Type returns the number of the effect's type in the encoding.
func (*AttachEffect) Type() EffectType { return EffectAttach }

// Type returns the number of the effect's type in the encoding.
func (*TagsEffect) Type() EffectType { return EffectTags }

// Type returns the number of the effect's type in the encoding.
func (*MuteEffect) Type() EffectType { return EffectMute }

// Type returns the number of the effect's type in the encoding.
func (*TickEffect) Type() EffectType { return EffectTick }

// Type returns the number of the effect's type in the encoding.
func (*RespondEffect) Type() EffectType { return EffectRespond }

// Type returns the number of the effect's type in the encoding.
func (*TellEffect) Type() EffectType { return EffectTell }
