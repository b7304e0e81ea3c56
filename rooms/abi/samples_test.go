package abi_test

import (
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A sample is a value with a name, as it stands in testdata/golden.json.
type sample[T any] struct {
	name  string
	value T
}

func seed() (s [abi.SeedSize]byte) {
	for i := range s {
		s[i] = byte(i * 7)
	}
	return s
}

var ann = abi.Connection{
	ID: 7, User: "ann", Claims: []byte(`{"role":"admin"}`), Protocol: "oriel.v1.json", Since: 1_790_000_000_000,
	Tags: []string{"red", "team:ü"}, Attachment: []byte{0, 1, 0xff}, Muted: true,
}

var events = []sample[abi.Event]{
	{"start with nothing", &abi.StartEvent{Kind: "chat", Room: "lobby", Reason: abi.StartCold}},
	{"start with everything", &abi.StartEvent{
		Kind: "chat", Room: "a.b_c~d-E9", Reason: abi.StartMoved, Term: "01J9ZQ", Alarm: abi.MaxTime,
		Connections: []abi.Connection{ann, {ID: 1<<64 - 1, Since: 1}},
	}},
	{"start after a sleep", &abi.StartEvent{Kind: "k", Room: "r", Reason: abi.StartWake}},
	{"start after a trap", &abi.StartEvent{Kind: "k", Room: "r", Reason: abi.StartTrap}},
	{"start with a new version", &abi.StartEvent{Kind: "k", Room: "r", Reason: abi.StartReplaced}},
	{"connect, anonymous", &abi.ConnectEvent{Connection: abi.Connection{ID: 1}}},
	{"connect, verified", &abi.ConnectEvent{
		Connection: abi.Connection{ID: 300, User: "bob", Claims: []byte(`{}`), Protocol: "p", Since: 128},
		Query:      "a=1&b=%20", Address: "2001:db8::1",
	}},
	{"message, text", &abi.MessageEvent{Connection: 7, Encoding: abi.Text, Data: []byte("grüß dich 👋")}},
	{"message, binary", &abi.MessageEvent{Connection: 7, Encoding: abi.Binary, Data: []byte{0xff, 0xfe, 0}}},
	{"message, empty", &abi.MessageEvent{Connection: 128, Encoding: abi.Text}},
	{"message of 200 bytes", &abi.MessageEvent{Connection: 7, Encoding: abi.Binary, Data: make([]byte, 200)}},
	{"close, clean", &abi.CloseEvent{Connection: 7, Code: abi.CodeNormal, Reason: "bye", Clean: true}},
	{"close, broken", &abi.CloseEvent{Connection: 7, Code: abi.CodeAbnormal}},
	{"alarm", &abi.AlarmEvent{Scheduled: 1_790_000_000_123}},
	{"alarm, again", &abi.AlarmEvent{Scheduled: 1_790_000_000_123, Attempt: 3}},
	{"tick", &abi.TickEvent{}},
	{"tick, late", &abi.TickEvent{Missed: 130}},
	{"request, bare", &abi.RequestEvent{ID: 1, Method: "GET"}},
	{"request, full", &abi.RequestEvent{
		ID: 9, Method: "POST", Path: "/messages", Query: "x=y", User: "ann", Claims: []byte(`{"a":1}`),
		Headers: []abi.Header{{Name: "Content-Type", Value: "application/json"}, {Name: "Accept", Value: ""}},
		Body:    []byte(`{"text":"hi"}`),
	}},
	{"rejected message", &abi.RejectedEvent{Code: abi.CodeRejected, Event: abi.AppendEvent(nil, &abi.MessageEvent{Connection: 7, Encoding: abi.Text, Data: []byte("boom")})}},
	{"forget", &abi.ForgetEvent{}},
	{"told", &abi.ToldEvent{FromKind: "chat", FromRoom: "lobby", ID: 1 << 40, Data: []byte("psst")}},
	{"presence of nobody", &abi.PresenceEvent{}},
	{"presence", &abi.PresenceEvent{Users: []abi.UserPresence{{User: "ann", Online: true}, {User: "bjørn"}}}},
	{"notified by a room", &abi.NotifiedEvent{
		Connection: 7, FromKind: "chat", FromRoom: "lobby", Event: "mention", Encoding: abi.Text, Data: []byte(`{"by":"bob"}`),
	}},
	{"notified by a backend", &abi.NotifiedEvent{Connection: 1<<64 - 1, Event: "!~", Encoding: abi.Binary, Data: []byte{0xff}}},
}

var effects = []sample[abi.Effect]{
	{"send, text", &abi.SendEffect{Connection: 7, Encoding: abi.Text, Data: []byte("hi")}},
	{"send, binary with a key", &abi.SendEffect{Connection: 1<<64 - 1, Encoding: abi.Binary, Key: "cursor", Data: []byte{0xff}}},
	{"broadcast to everybody", &abi.BroadcastEffect{Encoding: abi.Text, Data: []byte("hello all")}},
	{"broadcast, filtered", &abi.BroadcastEffect{
		Encoding: abi.Binary, Protocol: "oriel.v1.bin", Tag: "red", Key: "k", Except: []uint64{7, 300, 1<<64 - 1}, Data: []byte{1, 2, 3},
	}},
	{"close", &abi.CloseEffect{Connection: 7, Code: abi.CodeKicked, Reason: "kicked; be nice"}},
	{"close with a code of the room's own", &abi.CloseEffect{Connection: 7, Code: 4999}},
	{"put", &abi.PutEffect{Key: []byte("k"), Value: []byte("v")}},
	{"put, empty value", &abi.PutEffect{Key: []byte{0, 0xff}}},
	{"delete", &abi.DeleteEffect{Key: []byte("k")}},
	{"delete a range", &abi.DeleteRangeEffect{Start: []byte("a"), End: []byte("b")}},
	{"delete everything", &abi.DeleteRangeEffect{}},
	{"set the alarm", &abi.AlarmEffect{Time: 1_790_000_000_123}},
	{"clear the alarm", &abi.AlarmEffect{}},
	{"attach", &abi.AttachEffect{Connection: 7, Data: []byte{1, 2}}},
	{"attach nothing", &abi.AttachEffect{Connection: 7}},
	{"tags", &abi.TagsEffect{Connection: 7, Tags: []string{"red", ""}}},
	{"no tags", &abi.TagsEffect{Connection: 7}},
	{"mute", &abi.MuteEffect{Connection: 7, Muted: true}},
	{"unmute", &abi.MuteEffect{Connection: 7}},
	{"tick", &abi.TickEffect{Interval: 50}},
	{"no tick", &abi.TickEffect{}},
	{"respond", &abi.RespondEffect{Request: 9, Status: 201, Headers: []abi.Header{{Name: "Content-Type", Value: "text/plain"}}, Body: []byte("made")}},
	{"respond, bare", &abi.RespondEffect{Request: 9, Status: 204}},
	{"tell", &abi.TellEffect{Kind: "chat", Room: "lobby", Data: []byte("psst")}},
	{"join", &abi.JoinEffect{Connection: 300}},
	{"watch", &abi.WatchEffect{User: "ann", On: true}},
	{"watch no more", &abi.WatchEffect{User: "bjørn"}},
	{"notify", &abi.NotifyEffect{User: "ann", Event: "mention", Encoding: abi.Text, Data: []byte(`{"by":"bob"}`)}},
	{"notify, binary", &abi.NotifyEffect{User: "ann", Event: "n", Encoding: abi.Binary}},
}

func batches() []sample[*abi.Batch] {
	all := make([]abi.Event, len(events))
	for i := range events {
		all[i] = events[i].value
	}
	return []sample[*abi.Batch]{
		{"the smallest", &abi.Batch{Handle: 1}},
		{"a publish", &abi.Batch{Handle: 5, Time: 1_790_000_000_000, Seed: seed(), Events: []abi.Event{
			&abi.MessageEvent{Connection: 7, Encoding: abi.Text, Data: []byte(`{"type":"publish","seq":7,"event":"message","data":{"text":"hi"}}`)},
		}}},
		{"the store is away", &abi.Batch{Handle: 1<<64 - 1, Time: abi.MaxTime, Seed: seed(), StoreAway: true, Events: all[:2]}},
		{"one of each", &abi.Batch{Handle: 300, Time: 1, Seed: seed(), Events: all}},
	}
}

func effectBatches() []sample[[]abi.Effect] {
	all := make([]abi.Effect, len(effects))
	for i := range effects {
		all[i] = effects[i].value
	}
	return []sample[[]abi.Effect]{
		{"none", nil},
		{"one", all[:1]},
		{"one of each", all},
	}
}

var listRequests = []sample[*abi.ListRequest]{
	{"everything", &abi.ListRequest{Limit: abi.MaxListEntries}},
	{"a range backwards", &abi.ListRequest{Start: []byte("a"), End: []byte{0xff}, Limit: 1, Reverse: true}},
}

var listResponses = []sample[*abi.ListResponse]{
	{"no rows", &abi.ListResponse{}},
	{"two rows and more", &abi.ListResponse{Entries: []abi.Entry{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b")}}, More: true}},
}

var manifests = []sample[*abi.Manifest]{
	{"one kind, defaults", &abi.Manifest{SDK: "oriel-go/0.1", Shareable: true, Kinds: []abi.KindOptions{{Name: "chat"}}}},
	{"every option", &abi.Manifest{SDK: "c \"quoted\" \\ é", Kinds: []abi.KindOptions{
		{
			Name: "arena", Protocols: []string{"oriel.v1.bin", "oriel.v1.json"}, Anonymous: true, MessageBytes: 1024,
			MessagesPerSecond: 60, MessageBurst: 120, Members: 64, SleepAfterMillis: 60_000, Durability: abi.Relaxed,
			QueueBytes: 65536, Overflow: abi.OverflowDrop,
		},
		{Name: "lobby"},
	}}},
}
