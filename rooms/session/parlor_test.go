package session_test

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session"
	"github.com/oriel-rooms/oriel/rooms/session/protocol/jsonx"
)

// parlor is a kind whose members tell it what to do. It has no state of its own but rows, so
// that every test of it is also a test that nothing is lost in a sleep.
type parlor struct{}

func (parlor) Start(room *session.Room) { bump(room, "starts") }

// bump counts in the kind's storage, unless the store is away.
func bump(room *session.Room, name string) {
	if room.StoreAway() {
		return
	}
	b, _ := room.Storage().Get(name)
	n, _ := strconv.Atoi(string(b))
	room.Storage().Put(name, []byte(strconv.Itoa(n+1)))
}

func (parlor) Admit(_ *session.Room, m *session.Member) error {
	switch m.User() {
	case "banned":
		return session.Refuse(abi.CodeForbidden, "you know why")
	case "later":
		return session.Retry(abi.CodeOverloaded, 3*time.Second, "later")
	}
	return nil
}

func (parlor) Join(room *session.Room, m *session.Member, hello session.Payload) (session.Payload, error) {
	switch string(hello.Data) {
	case `"no"`:
		return session.Payload{}, session.Refuse(abi.CodeForbidden, "no")
	case `"panic"`:
		panic("join")
	case `"emit"`:
		if _, err := room.Emit(session.Event{Name: "entered", From: m.User()}); err != nil {
			return session.Payload{}, err
		}
	case `"close"`:
		m.Close(4400, "closed in join")
	}
	if strings.HasPrefix(string(hello.Data), "{") {
		if err := m.SetData(hello.Data); err != nil {
			return session.Payload{}, err
		}
	}
	bump(room, "joins")
	return session.JSON(`{"topic":"tea"}`), nil
}

func (parlor) Leave(room *session.Room, m *session.Member) { bump(room, "left "+m.User()) }

func (parlor) Publish(room *session.Room, from *session.Member, p session.Publish) (session.Event, error) {
	switch p.Event {
	case "panic":
		panic("publish")
	case "invalid":
		return session.Event{}, session.Refuse(abi.CodeInvalid, "not this")
	case "odd":
		return session.Event{}, &session.Error{Code: "Slow Mode!"}
	case "plain":
		return session.Event{}, errors.New("plain words")
	case "slow":
		return session.Event{}, session.Retry(abi.CodeRateLimited, 500*time.Millisecond, "slow down")
	case "flaky":
		if room.Rand().IntN(2) == 0 {
			return session.Event{}, session.Retry(abi.CodeRateLimited, 0, "")
		}
	case "code":
		return session.Event{}, abi.CodeForbidden
	case "nothing":
		return session.Event{}, nil
	case "ephemeral":
		return session.Event{Name: p.Event, Payload: p.Payload, Ephemeral: true}, nil
	case "big":
		return session.Event{Name: "big", Payload: session.JSON(`"` + strings.Repeat("x", abi.MaxMessage) + `"`)}, nil
	case "kick":
		room.Kick(string(p.Payload.Data[1:len(p.Payload.Data)-1]), abi.CodeKicked, "kicked")
	case "data":
		if err := from.SetData(p.Payload.Data); err != nil {
			return session.Event{}, err
		}
	case "replace":
		r := jsonx.NewReader(p.Payload.Data)
		offset := r.Uint()
		if err := r.End(); err != nil {
			return session.Event{}, err
		}
		if err := room.Replace(offset, session.JSON(`"replaced"`)); err != nil {
			return session.Event{}, err
		}
	case "alarm":
		r := jsonx.NewReader(p.Payload.Data)
		room.SetAlarm(room.Now().Add(time.Duration(r.Uint()) * time.Millisecond))
	case "two":
		if _, err := room.Emit(session.Event{Name: "first"}); err != nil {
			return session.Event{}, err
		}
	}
	return p.Accept(), nil
}

func (parlor) Request(room *session.Room, from *session.Member, r session.Request) (session.Payload, error) {
	switch r.Event {
	case "echo":
		return r.Payload, nil
	case "panic":
		panic("request")
	case "who":
		o := jsonx.NewObject(nil)
		o.String("user", from.User())
		o.Uint("head", room.Head())
		o.Uint("first", room.First())
		return session.JSON(o.End()), nil
	}
	return session.Payload{}, abi.CodeUnknownEvent
}

func (parlor) Signal(_ *session.Room, _ *session.Member, s session.Signal) (session.Signal, error) {
	switch s.Name {
	case "typing":
		return s, nil
	case "silent":
		return session.Signal{}, nil
	case "panic":
		panic("signal")
	}
	return session.Signal{}, abi.CodeUnknownEvent
}

func (parlor) Alarm(room *session.Room, a rooms.Alarm) {
	bump(room, "alarms")
	if _, err := room.Emit(session.Event{Name: "alarm", Payload: session.JSON(strconv.FormatInt(a.ScheduledMillis, 10))}); err != nil {
		panic(err)
	}
}

func (parlor) HTTP(_ *session.Room, from *session.Member, q *rooms.Request) {
	q.Respond(200, "text/plain", []byte(q.Path+" "+from.User()))
}
