package abi_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func text(n int) string { return strings.Repeat("x", n) }

func ids(n int) []uint64 {
	list := make([]uint64, n)
	for i := range list {
		list[i] = uint64(i + 1)
	}
	return list
}

// TestEventLimits makes every bounded field of every event at its limit and one past it.
func TestEventLimits(t *testing.T) {
	connection := func(change func(*abi.Connection)) abi.Event {
		e := &abi.ConnectEvent{Connection: abi.Connection{ID: 1}}
		change(&e.Connection)
		return e
	}
	request := func(change func(*abi.RequestEvent)) abi.Event {
		e := &abi.RequestEvent{ID: 1, Method: "GET"}
		change(e)
		return e
	}
	start := func(change func(*abi.StartEvent)) abi.Event {
		e := &abi.StartEvent{Kind: "k", Room: "r", Reason: abi.StartCold}
		change(e)
		return e
	}
	notified := func(change func(*abi.NotifiedEvent)) abi.Event {
		e := &abi.NotifiedEvent{Connection: 1, Event: "e", Encoding: abi.Binary}
		change(e)
		return e
	}
	for _, tt := range []struct {
		field string
		limit int
		make  func(n int) abi.Event
	}{
		{"start.kind", abi.MaxName, func(n int) abi.Event { return start(func(e *abi.StartEvent) { e.Kind = text(n) }) }},
		{"start.room", abi.MaxName, func(n int) abi.Event { return start(func(e *abi.StartEvent) { e.Room = text(n) }) }},
		{"start.term", abi.MaxTerm, func(n int) abi.Event { return start(func(e *abi.StartEvent) { e.Term = text(n) }) }},
		{"start.alarm", abi.MaxTime, func(n int) abi.Event { return start(func(e *abi.StartEvent) { e.Alarm = uint64(n) }) }},
		{"start.connections", abi.MaxConnections, func(n int) abi.Event {
			return start(func(e *abi.StartEvent) {
				for _, id := range ids(n) {
					e.Connections = append(e.Connections, abi.Connection{ID: id})
				}
			})
		}},
		{"connect.connection.user", abi.MaxUser, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.User = text(n) })
		}},
		{"connect.connection.claims", abi.MaxClaims, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Claims = make([]byte, n) })
		}},
		{"connect.connection.protocol", abi.MaxProtocol, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Protocol = text(n) })
		}},
		{"connect.connection.since", abi.MaxTime, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Since = uint64(n) })
		}},
		{"connect.connection.tags", abi.MaxTags, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Tags = make([]string, n) })
		}},
		{"connect.connection.tags", abi.MaxTag, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Tags = []string{text(n)} })
		}},
		{"connect.connection.attachment", abi.MaxAttachment, func(n int) abi.Event {
			return connection(func(c *abi.Connection) { c.Attachment = make([]byte, n) })
		}},
		{"connect.query", abi.MaxQuery, func(n int) abi.Event {
			return &abi.ConnectEvent{Connection: abi.Connection{ID: 1}, Query: text(n)}
		}},
		{"connect.address", abi.MaxAddress, func(n int) abi.Event {
			return &abi.ConnectEvent{Connection: abi.Connection{ID: 1}, Address: text(n)}
		}},
		{"message.data", abi.MaxMessage, func(n int) abi.Event {
			return &abi.MessageEvent{Connection: 1, Encoding: abi.Text, Data: []byte(text(n))}
		}},
		{"close.code", abi.MaxCode, func(n int) abi.Event { return &abi.CloseEvent{Connection: 1, Code: abi.Code(n)} }},
		{"close.reason", abi.MaxCloseReason, func(n int) abi.Event {
			return &abi.CloseEvent{Connection: 1, Code: 1000, Reason: text(n)}
		}},
		{"alarm.scheduled", abi.MaxTime, func(n int) abi.Event { return &abi.AlarmEvent{Scheduled: uint64(n)} }},
		{"alarm.attempt", abi.MaxAttempt, func(n int) abi.Event { return &abi.AlarmEvent{Attempt: uint64(n)} }},
		{"tick.missed", abi.MaxMissed, func(n int) abi.Event { return &abi.TickEvent{Missed: uint64(n)} }},
		{"request.method", abi.MaxMethod, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Method = text(n) })
		}},
		{"request.path", abi.MaxPath, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Path = "/" + text(n-1) })
		}},
		{"request.query", abi.MaxQuery, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Query = text(n) })
		}},
		{"request.user", abi.MaxUser, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.User = text(n) })
		}},
		{"request.claims", abi.MaxClaims, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Claims = make([]byte, n) })
		}},
		{"request.headers", abi.MaxHeaders, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) {
				for range n {
					e.Headers = append(e.Headers, abi.Header{Name: "a"})
				}
			})
		}},
		{"request.headers", abi.MaxHeader, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Headers = []abi.Header{{Name: "a", Value: text(n)}} })
		}},
		{"request.headers", abi.MaxHeader, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Headers = []abi.Header{{Name: text(n)}} })
		}},
		{"request.body", abi.MaxBody, func(n int) abi.Event {
			return request(func(e *abi.RequestEvent) { e.Body = make([]byte, n) })
		}},
		{"rejected.code", abi.MaxCode, func(n int) abi.Event { return &abi.RejectedEvent{Code: abi.Code(n)} }},
		{"told.from_kind", abi.MaxName, func(n int) abi.Event { return &abi.ToldEvent{FromKind: text(n), FromRoom: "r"} }},
		{"told.from_room", abi.MaxName, func(n int) abi.Event { return &abi.ToldEvent{FromKind: "k", FromRoom: text(n)} }},
		{"told.data", abi.MaxTell, func(n int) abi.Event {
			return &abi.ToldEvent{FromKind: "k", FromRoom: "r", Data: make([]byte, n)}
		}},
		{"presence.users", abi.MaxWatches, func(n int) abi.Event {
			e := &abi.PresenceEvent{}
			for range n {
				e.Users = append(e.Users, abi.UserPresence{User: "u"})
			}
			return e
		}},
		{"presence.users", abi.MaxUser, func(n int) abi.Event {
			return &abi.PresenceEvent{Users: []abi.UserPresence{{User: text(n)}}}
		}},
		{"notified.from_kind", abi.MaxName, func(n int) abi.Event {
			return notified(func(e *abi.NotifiedEvent) { e.FromKind, e.FromRoom = text(n), "r" })
		}},
		{"notified.from_room", abi.MaxName, func(n int) abi.Event {
			return notified(func(e *abi.NotifiedEvent) { e.FromKind, e.FromRoom = "k", text(n) })
		}},
		{"notified.event", abi.MaxNotification, func(n int) abi.Event {
			return notified(func(e *abi.NotifiedEvent) { e.Event = text(n) })
		}},
		{"notified.data", abi.MaxNotify, func(n int) abi.Event {
			return notified(func(e *abi.NotifiedEvent) { e.Data = make([]byte, n) })
		}},
	} {
		if err := abi.CheckEvent(tt.make(tt.limit)); err != nil {
			t.Errorf("%s of %d: %v", tt.field, tt.limit, err)
		}
		wantLimit(t, tt.field, tt.limit, abi.CheckEvent(tt.make(tt.limit+1)))
	}
}

func wantLimit(t *testing.T, name string, limit int, err error) {
	t.Helper()
	var field *abi.FieldError
	if !errors.Is(err, abi.ErrLimit) || !errors.As(err, &field) {
		t.Errorf("%s of %d and one: got %v, want a limit", name, limit, err)
	} else if !strings.HasPrefix(name, field.Field) && name != field.Field {
		t.Errorf("%s of %d and one: the error names %s", name, limit, field.Field)
	}
}

// TestEffectLimits does the same for the effects.
func TestEffectLimits(t *testing.T) {
	respond := func(change func(*abi.RespondEffect)) abi.Effect {
		e := &abi.RespondEffect{Request: 1, Status: 200}
		change(e)
		return e
	}
	for _, tt := range []struct {
		field string
		limit int
		make  func(n int) abi.Effect
	}{
		{"send.key", abi.MaxConflationKey, func(n int) abi.Effect {
			return &abi.SendEffect{Connection: 1, Encoding: abi.Text, Key: text(n)}
		}},
		{"send.data", abi.MaxMessage, func(n int) abi.Effect {
			return &abi.SendEffect{Connection: 1, Encoding: abi.Binary, Data: make([]byte, n)}
		}},
		{"broadcast.protocol", abi.MaxProtocol, func(n int) abi.Effect {
			return &abi.BroadcastEffect{Encoding: abi.Text, Protocol: text(n)}
		}},
		{"broadcast.tag", abi.MaxTag, func(n int) abi.Effect { return &abi.BroadcastEffect{Encoding: abi.Text, Tag: text(n)} }},
		{"broadcast.key", abi.MaxConflationKey, func(n int) abi.Effect {
			return &abi.BroadcastEffect{Encoding: abi.Text, Key: text(n)}
		}},
		{"broadcast.except", abi.MaxConnections, func(n int) abi.Effect {
			return &abi.BroadcastEffect{Encoding: abi.Text, Except: ids(n)}
		}},
		{"broadcast.data", abi.MaxMessage, func(n int) abi.Effect {
			return &abi.BroadcastEffect{Encoding: abi.Text, Data: []byte(text(n))}
		}},
		{"close.code", abi.MaxCode, func(n int) abi.Effect { return &abi.CloseEffect{Connection: 1, Code: abi.Code(n)} }},
		{"close.reason", abi.MaxCloseReason, func(n int) abi.Effect {
			return &abi.CloseEffect{Connection: 1, Code: 1000, Reason: text(n)}
		}},
		{"put.key", abi.MaxKey, func(n int) abi.Effect { return &abi.PutEffect{Key: make([]byte, n)} }},
		{"put.value", abi.MaxKeyValue - 3, func(n int) abi.Effect {
			return &abi.PutEffect{Key: []byte("key"), Value: make([]byte, n)}
		}},
		{"delete.key", abi.MaxKey, func(n int) abi.Effect { return &abi.DeleteEffect{Key: make([]byte, n)} }},
		{"delete_range.start", abi.MaxBound, func(n int) abi.Effect { return &abi.DeleteRangeEffect{Start: make([]byte, n)} }},
		{"delete_range.end", abi.MaxBound, func(n int) abi.Effect { return &abi.DeleteRangeEffect{End: make([]byte, n)} }},
		{"alarm.time", abi.MaxTime, func(n int) abi.Effect { return &abi.AlarmEffect{Time: uint64(n)} }},
		{"attach.data", abi.MaxAttachment, func(n int) abi.Effect {
			return &abi.AttachEffect{Connection: 1, Data: make([]byte, n)}
		}},
		{"tags.tags", abi.MaxTags, func(n int) abi.Effect { return &abi.TagsEffect{Connection: 1, Tags: make([]string, n)} }},
		{"tags.tags", abi.MaxTag, func(n int) abi.Effect { return &abi.TagsEffect{Connection: 1, Tags: []string{text(n)}} }},
		{"tick.interval", abi.MaxTick, func(n int) abi.Effect { return &abi.TickEffect{Interval: uint64(n)} }},
		{"respond.status", 599, func(n int) abi.Effect {
			return respond(func(e *abi.RespondEffect) { e.Status = uint64(n) })
		}},
		{"respond.headers", abi.MaxHeaders, func(n int) abi.Effect {
			return respond(func(e *abi.RespondEffect) {
				for range n {
					e.Headers = append(e.Headers, abi.Header{Name: "a"})
				}
			})
		}},
		{"respond.headers", abi.MaxHeader, func(n int) abi.Effect {
			return respond(func(e *abi.RespondEffect) { e.Headers = []abi.Header{{Name: "a", Value: text(n)}} })
		}},
		{"respond.body", abi.MaxBody, func(n int) abi.Effect {
			return respond(func(e *abi.RespondEffect) { e.Body = make([]byte, n) })
		}},
		{"tell.kind", abi.MaxName, func(n int) abi.Effect { return &abi.TellEffect{Kind: text(n), Room: "r"} }},
		{"tell.room", abi.MaxName, func(n int) abi.Effect { return &abi.TellEffect{Kind: "k", Room: text(n)} }},
		{"tell.data", abi.MaxTell, func(n int) abi.Effect {
			return &abi.TellEffect{Kind: "k", Room: "r", Data: make([]byte, n)}
		}},
		{"watch.user", abi.MaxUser, func(n int) abi.Effect { return &abi.WatchEffect{User: text(n)} }},
		{"notify.user", abi.MaxUser, func(n int) abi.Effect {
			return &abi.NotifyEffect{User: text(n), Event: "e", Encoding: abi.Text}
		}},
		{"notify.event", abi.MaxNotification, func(n int) abi.Effect {
			return &abi.NotifyEffect{User: "u", Event: text(n), Encoding: abi.Text}
		}},
		{"notify.data", abi.MaxNotify, func(n int) abi.Effect {
			return &abi.NotifyEffect{User: "u", Event: "e", Encoding: abi.Binary, Data: make([]byte, n)}
		}},
	} {
		if _, err := abi.DecodeEffects(abi.AppendEffects(nil, []abi.Effect{tt.make(tt.limit)})); err != nil {
			t.Errorf("%s of %d: %v", tt.field, tt.limit, err)
		}
		_, err := abi.DecodeEffects(abi.AppendEffects(nil, []abi.Effect{tt.make(tt.limit + 1)}))
		wantLimit(t, tt.field, tt.limit, err)
	}
	for _, low := range []abi.Effect{&abi.TickEffect{Interval: abi.MinTick - 1}, respond(func(e *abi.RespondEffect) { e.Status = 199 })} {
		if _, err := abi.DecodeEffects(abi.AppendEffects(nil, []abi.Effect{low})); !errors.Is(err, abi.ErrLimit) {
			t.Errorf("%s below its least: %v", low.Type(), err)
		}
	}
	for _, least := range []abi.Effect{&abi.TickEffect{Interval: abi.MinTick}, respond(func(e *abi.RespondEffect) {})} {
		if _, err := abi.DecodeEffects(abi.AppendEffects(nil, []abi.Effect{least})); err != nil {
			t.Errorf("%s at its least: %v", least.Type(), err)
		}
	}
}

func TestBatchLimits(t *testing.T) {
	decodeEffects := func(n int) error {
		_, err := abi.DecodeEffects(abi.AppendEffects(nil, make16(n)))
		return err
	}
	decodeBatch := func(n int) error {
		b := &abi.Batch{Handle: 1}
		for range n {
			b.Events = append(b.Events, &abi.TickEvent{})
		}
		_, err := abi.DecodeBatch(abi.AppendBatch(nil, b))
		return err
	}
	// effectBytes and batchBytes make an encoding of exactly n bytes.
	effectBytes := func(n int) error {
		full := &abi.SendEffect{Connection: 1, Encoding: abi.Binary, Data: make([]byte, abi.MaxMessage)}
		list := []abi.Effect{full, full, full, full, full, full, full, &abi.SendEffect{Connection: 1, Encoding: abi.Binary}}
		last := list[7].(*abi.SendEffect)
		last.Data = make([]byte, n-len(abi.AppendEffects(nil, list))-4) // two lengths grow by 2 bytes each
		b := abi.AppendEffects(nil, list)
		if len(b) != n {
			t.Fatalf("made %d bytes, want %d", len(b), n)
		}
		_, err := abi.DecodeEffects(b)
		return err
	}
	batchBytes := func(n int) error {
		full := &abi.MessageEvent{Connection: 1, Encoding: abi.Binary, Data: make([]byte, abi.MaxMessage)}
		last := &abi.MessageEvent{Connection: 1, Encoding: abi.Binary}
		batch := &abi.Batch{Handle: 1, Events: []abi.Event{full, full, full, full, full, full, full, last}}
		last.Data = make([]byte, n-len(abi.AppendBatch(nil, batch))-4)
		b := abi.AppendBatch(nil, batch)
		if len(b) != n {
			t.Fatalf("made %d bytes, want %d", len(b), n)
		}
		_, err := abi.DecodeBatch(b)
		return err
	}
	listRequest := func(n int) error {
		_, err := abi.DecodeListRequest(abi.AppendListRequest(nil, &abi.ListRequest{Limit: n}))
		return err
	}
	listStart := func(n int) error {
		_, err := abi.DecodeListRequest(abi.AppendListRequest(nil, &abi.ListRequest{Limit: 1, Start: make([]byte, n)}))
		return err
	}
	listEnd := func(n int) error {
		_, err := abi.DecodeListRequest(abi.AppendListRequest(nil, &abi.ListRequest{Limit: 1, End: make([]byte, n)}))
		return err
	}
	listRows := func(n int) error {
		_, err := abi.DecodeListResponse(abi.AppendListResponse(nil, &abi.ListResponse{Entries: make([]abi.Entry, n)}))
		return err
	}
	for _, tt := range []struct {
		field  string
		limit  int
		decode func(n int) error
	}{
		{"effects.count", abi.MaxEffectCount, decodeEffects},
		{"effects", abi.MaxEffects, effectBytes},
		{"batch.events", abi.MaxBatchEvents, decodeBatch},
		{"batch", abi.MaxBatch, batchBytes},
		{"list.limit", abi.MaxListEntries, listRequest},
		{"list.start", abi.MaxBound, listStart},
		{"list.end", abi.MaxBound, listEnd},
		{"list.entries", abi.MaxListEntries, listRows},
	} {
		if err := tt.decode(tt.limit); err != nil {
			t.Errorf("%s of %d: %v", tt.field, tt.limit, err)
		}
		wantLimit(t, tt.field, tt.limit, tt.decode(tt.limit+1))
	}
}

func make16(n int) []abi.Effect {
	list := make([]abi.Effect, n)
	for i := range list {
		list[i] = &abi.TickEffect{}
	}
	return list
}

func TestValidName(t *testing.T) {
	for _, s := range []string{"a", "...", "A-Z_a~z.0-9", text(abi.MaxName), "-", "~"} {
		if !abi.ValidName(s) {
			t.Errorf("%q is refused", s)
		}
	}
	for _, s := range []string{"", ".", "..", "a b", "a/b", "a%2Fb", "ü", "a\x00", "a\n", text(abi.MaxName + 1), "a+b", "a:b"} {
		if abi.ValidName(s) {
			t.Errorf("%q is taken", s)
		}
	}
}
