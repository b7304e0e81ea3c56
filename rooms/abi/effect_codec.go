package abi

import (
	"bytes"
	"unicode/utf8"
)

// AppendEffect appends one effect: its size, its type and its fields. Where the type is
// known, its Append does the same and leaves the effect on the stack.
func AppendEffect(b []byte, e Effect) []byte { return e.Append(b) }

// open appends the place of the size, one byte or two, and the type.
func (t EffectType) open(b []byte, place int) []byte {
	if place == 1 {
		return append(b, 0, byte(t))
	}
	return append(b, 0, 0, byte(t))
}

// AppendSend is [SendEffect.Append] in fewer instructions: nothing is put into a struct before.
func AppendSend(b []byte, connection uint64, e Encoding, key string, data []byte) []byte {
	at, place := len(b), placeFor(data)
	b = AppendUvarint(EffectSend.open(b, place), connection)
	b = AppendString(append(b, byte(e)), key)
	return sized(AppendBytes(b, data), at, place)
}

// AppendBroadcast is [BroadcastEffect.Append] in fewer instructions, as [AppendSend] is.
func AppendBroadcast(b []byte, e Encoding, protocol, tag, key string, except []uint64, data []byte) []byte {
	at, place := len(b), placeFor(data)
	b = AppendString(append(EffectBroadcast.open(b, place), byte(e)), protocol)
	if tag == "" && key == "" && len(except) == 0 { // to everybody
		b = append(b, 0, 0, 0)
	} else {
		b = AppendString(AppendString(b, tag), key)
		b = AppendUvarint(b, uint64(len(except)))
		for _, id := range except {
			b = AppendUvarint(b, id)
		}
	}
	return sized(AppendBytes(b, data), at, place)
}

func (e *CloseEffect) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.Connection)
	b = AppendUvarint(b, uint64(e.Code))
	return AppendString(b, e.Reason)
}

// AppendPut is [PutEffect.Append] for a key that is a string; reserved puts [ReservedPrefix] before
// it.
func AppendPut(b []byte, reserved bool, key string, value []byte) []byte {
	at, place := len(b), placeFor(value)
	b = EffectPut.open(b, place)
	if reserved {
		b = append(AppendUvarint(b, uint64(len(ReservedPrefix)+len(key))), ReservedPrefix[0])
		b = append(b, key...)
	} else {
		b = AppendString(b, key)
	}
	return sized(AppendBytes(b, value), at, place)
}

func (e *PutEffect) appendFields(b []byte) []byte { return AppendBytes(AppendBytes(b, e.Key), e.Value) }

func (e *DeleteEffect) appendFields(b []byte) []byte { return AppendBytes(b, e.Key) }

func (e *DeleteRangeEffect) appendFields(b []byte) []byte {
	return AppendBytes(AppendBytes(b, e.Start), e.End)
}

func (e *AlarmEffect) appendFields(b []byte) []byte { return AppendUvarint(b, e.Time) }

func (e *AttachEffect) appendFields(b []byte) []byte {
	return AppendBytes(AppendUvarint(b, e.Connection), e.Data)
}

func (e *TagsEffect) appendFields(b []byte) []byte {
	return appendStrings(AppendUvarint(b, e.Connection), e.Tags)
}

func (e *MuteEffect) appendFields(b []byte) []byte {
	return AppendBool(AppendUvarint(b, e.Connection), e.Muted)
}

func (e *TickEffect) appendFields(b []byte) []byte { return AppendUvarint(b, e.Interval) }

func (e *RespondEffect) appendFields(b []byte) []byte {
	b = AppendUvarint(b, e.Request)
	b = AppendUvarint(b, e.Status)
	b = appendHeaders(b, e.Headers)
	return AppendBytes(b, e.Body)
}

func (e *TellEffect) appendFields(b []byte) []byte {
	b = AppendString(b, e.Kind)
	b = AppendString(b, e.Room)
	return AppendBytes(b, e.Data)
}

func (e *JoinEffect) appendFields(b []byte) []byte { return AppendUvarint(b, e.Connection) }

func (e *WatchEffect) appendFields(b []byte) []byte {
	return AppendBool(AppendString(b, e.User), e.On)
}

func (e *NotifyEffect) appendFields(b []byte) []byte {
	b = append(AppendString(AppendString(b, e.User), e.Event), byte(e.Encoding))
	return AppendBytes(b, e.Data)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *SendEffect) Append(b []byte) []byte {
	return AppendSend(b, e.Connection, e.Encoding, e.Key, e.Data)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *BroadcastEffect) Append(b []byte) []byte {
	return AppendBroadcast(b, e.Encoding, e.Protocol, e.Tag, e.Key, e.Except, e.Data)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *CloseEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectClose.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *PutEffect) Append(b []byte) []byte {
	place := placeFor(e.Value)
	return sized(e.appendFields(EffectPut.open(b, place)), len(b), place)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *DeleteEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectDelete.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *DeleteRangeEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectDeleteRange.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *AlarmEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectAlarm.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *AttachEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectAttach.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *TagsEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectTags.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *MuteEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectMute.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *TickEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectTick.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *RespondEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectRespond.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *TellEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectTell.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *JoinEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectJoin.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *WatchEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectWatch.open(b, 1)), len(b), 1)
}

// Append appends the effect's encoding, as [AppendEffect] does.
func (e *NotifyEffect) Append(b []byte) []byte {
	return sized(e.appendFields(EffectNotify.open(b, 1)), len(b), 1)
}

func decodeEffect(outer *Decoder) (Effect, error) {
	var in Decoder
	in.b = outer.Bytes("effect", MaxEffects)
	in.err = outer.err
	d := &in
	t := EffectType(d.Byte("effect.type"))
	if d.err != nil {
		return nil, d.err
	}
	var e Effect
	switch t {
	case EffectSend:
		v := &SendEffect{Connection: decodeID(d, "send.connection"), Encoding: decodeEncoding(d, "send.encoding")}
		v.Key = d.String("send.key", MaxConflationKey)
		v.Data = decodePayload(d, "send.data", v.Encoding)
		e = v
	case EffectBroadcast:
		e = decodeBroadcast(d)
	case EffectClose:
		e = decodeClose(d)
	case EffectPut:
		v := &PutEffect{Key: decodeKey(d, "put.key")}
		v.Value = d.Bytes("put.value", MaxKeyValue-len(v.Key))
		e = v
	case EffectDelete:
		e = &DeleteEffect{Key: decodeKey(d, "delete.key")}
	case EffectDeleteRange:
		v := &DeleteRangeEffect{Start: d.Bytes("delete_range.start", MaxBound)}
		v.End = d.Bytes("delete_range.end", MaxBound)
		if len(v.End) > 0 && bytes.Compare(v.Start, v.End) > 0 {
			d.Malformed("delete_range", "end before start")
		}
		e = v
	case EffectAlarm:
		e = &AlarmEffect{Time: d.Uvarint("alarm.time", MaxTime)}
	case EffectAttach:
		v := &AttachEffect{Connection: decodeID(d, "attach.connection")}
		v.Data = d.Bytes("attach.data", MaxAttachment)
		e = v
	case EffectTags:
		v := &TagsEffect{Connection: decodeID(d, "tags.connection")}
		v.Tags = decodeTags(d, "tags.tags")
		e = v
	case EffectMute:
		v := &MuteEffect{Connection: decodeID(d, "mute.connection")}
		v.Muted = d.Bool("mute.muted")
		e = v
	case EffectTick:
		v := &TickEffect{Interval: d.Uvarint("tick.interval", MaxTick)}
		if v.Interval != 0 && v.Interval < MinTick {
			d.Limit("tick.interval", "too small")
		}
		e = v
	case EffectRespond:
		v := &RespondEffect{Request: decodeID(d, "respond.request"), Status: d.Uvarint("respond.status", 599)}
		if v.Status < 200 {
			d.Limit("respond.status", "below 200")
		}
		v.Headers = decodeHeaders(d, "respond.headers")
		v.Body = d.Bytes("respond.body", MaxBody)
		e = v
	case EffectTell:
		v := &TellEffect{Kind: decodeName(d, "tell.kind"), Room: decodeName(d, "tell.room")}
		v.Data = d.Bytes("tell.data", MaxTell)
		e = v
	case EffectJoin:
		e = &JoinEffect{Connection: decodeID(d, "join.connection")}
	case EffectWatch:
		e = &WatchEffect{User: decodeUser(d, "watch.user"), On: d.Bool("watch.on")}
	case EffectNotify:
		v := &NotifyEffect{User: decodeUser(d, "notify.user"), Event: decodeNotification(d, "notify.event")}
		v.Encoding = decodeEncoding(d, "notify.encoding")
		v.Data = decodeNotified(d, "notify.data", v.Encoding)
		e = v
	default:
		d.Malformed("effect.type", "unknown "+t.String())
	}
	if d.err != nil || len(d.b) > 0 {
		return nil, d.End("effect." + t.String())
	}
	return e, nil
}

func decodeBroadcast(d *Decoder) *BroadcastEffect {
	v := &BroadcastEffect{Encoding: decodeEncoding(d, "broadcast.encoding")}
	v.Protocol = d.String("broadcast.protocol", MaxProtocol)
	v.Tag = d.String("broadcast.tag", MaxTag)
	v.Key = d.String("broadcast.key", MaxConflationKey)
	n := d.Count("broadcast.except", MaxConnections)
	if n > 0 {
		v.Except = make([]uint64, 0, n)
	}
	for range n {
		v.Except = append(v.Except, decodeID(d, "broadcast.except"))
	}
	v.Data = decodePayload(d, "broadcast.data", v.Encoding)
	return v
}

func decodeClose(d *Decoder) *CloseEffect {
	v := &CloseEffect{Connection: decodeID(d, "close.connection"), Code: Code(d.Uvarint("close.code", MaxCode))}
	if d.err == nil && !v.Code.Sendable() {
		d.Malformed("close.code", "never travels in a close frame")
	}
	v.Reason = d.String("close.reason", MaxCloseReason)
	return v
}

func decodeKey(d *Decoder, field string) []byte {
	k := d.Bytes(field, MaxKey)
	if d.err == nil && len(k) == 0 {
		d.Malformed(field, "empty")
	}
	return k
}

func decodePayload(d *Decoder, field string, enc Encoding) []byte {
	data := d.Bytes(field, MaxMessage)
	if enc == Text && !utf8.Valid(data) {
		d.Malformed(field, "text is not UTF-8")
	}
	return data
}
