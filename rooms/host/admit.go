package host

import (
	"errors"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// A batch holds a start event of at most [maxTable] bytes, rejections of [maxOwedTurn], and
// events of maxBatchBytes; the rest is for the batch's and the start's own fields.
const maxBatchBytes = abi.MaxBatch - maxTable - maxOwedTurn - 64<<10

// maxTurnEvents is how many events a turn has at most, beside those that are owed: it is far from its
// fuel then in most rooms. In others a turn that runs out of it lowers the number.
const maxTurnEvents = 128

// cut splits off as many events as one batch holds, at most so many; at least one.
func cut(events []abi.Event, most int) (batch, rest []abi.Event) {
	size := 0
	for i, e := range events {
		size += eventSize(e)
		if i > 0 && (i >= most || size > maxBatchBytes) {
			return events[:i:i], events[i:]
		}
	}
	return events[:len(events):len(events)], nil
}

// eventSize is at least the size of e's encoding.
func eventSize(e abi.Event) int {
	switch e := e.(type) {
	case *abi.MessageEvent:
		return 32 + len(e.Data)
	case *abi.ConnectEvent:
		return 32 + entrySize(&e.Connection) + len(e.Query) + len(e.Address)
	case *abi.RequestEvent:
		n := 64 + len(e.Method) + len(e.Path) + len(e.Query) + len(e.User) + len(e.Claims) + len(e.Body)
		for _, h := range e.Headers {
			n += 8 + len(h.Name) + len(h.Value)
		}
		return n
	case *abi.ToldEvent:
		return 64 + len(e.FromKind) + len(e.FromRoom) + len(e.Data)
	case *abi.PresenceEvent:
		n := 32
		for _, u := range e.Users {
			n += 8 + len(u.User)
		}
		return n
	case *abi.NotifiedEvent:
		return 64 + len(e.FromKind) + len(e.FromRoom) + len(e.Event) + len(e.Data)
	case *abi.CloseEvent:
		return 32 + len(e.Reason)
	default:
		return 32
	}
}

// admit leaves out the events that must not reach the room: malformed ones, those of
// connections that it does not have or has closed, connects beyond its limits, alarms that are
// not set any more, and what it is known to fail on. It decides them in the room's place.
func (x *run) admit(events []abi.Event) []abi.Event {
	out := make([]abi.Event, 0, len(events))
	var joining map[uint64]bool
	members, size, alarm := x.table.Len(), 0, x.alarm
	for _, e := range events {
		if c, ok := e.(*abi.CloseEvent); ok {
			e = cleanClose(c)
		}
		if err := checkEvent(e); err != nil {
			x.refuse(e, err)
			continue
		}
		switch v := e.(type) {
		case *abi.ConnectEvent:
			n := entrySize(&v.Connection)
			switch _, known := x.table.Get(v.Connection.ID); {
			case known || joining[v.Connection.ID]:
				continue
			case members+len(joining) >= x.c.Kind.Members || x.table.fits(size+n) != nil:
				x.decide(nil, refusal(v, abi.CodeRoomFull))
				continue
			}
			if joining == nil {
				joining = make(map[uint64]bool)
			}
			joining[v.Connection.ID] = true
			size += n
		case *abi.MessageEvent:
			if !x.table.Has(v.Connection) && !joining[v.Connection] {
				continue
			}
		case *abi.NotifiedEvent:
			if !x.table.Has(v.Connection) && !joining[v.Connection] {
				continue
			}
		case *abi.PresenceEvent:
			if v = x.watched(v); v == nil {
				continue
			}
			e = v
		case *abi.CloseEvent:
			if _, ok := x.table.Get(v.Connection); !ok && !joining[v.Connection] {
				continue
			}
		case *abi.AlarmEvent:
			if alarm == 0 || alarm != v.Scheduled {
				continue
			}
			alarm = 0
		}
		if x.culprits.has(e) {
			x.reject(e, &Trap{Cause: CausePanic, Message: "the room failed on the same event before"}, true)
			continue
		}
		out = append(out, e)
	}
	return out
}

// checkEvent finds events that no guest could decode, and those that only a host may make.
func checkEvent(e abi.Event) error {
	switch e.Type() {
	case abi.EventStart, abi.EventForget, abi.EventRejected:
		return &abi.FieldError{Field: "event.type", Reason: "a host's own " + e.Type().String(), Err: abi.ErrMalformed}
	}
	return abi.CheckEvent(e)
}

// cleanClose makes what a peer said at the end fit the ABI: a close event is never refused,
// because the connection is gone whatever the peer said.
func cleanClose(e *abi.CloseEvent) *abi.CloseEvent {
	reason := abi.CutReason(e.Reason)
	if reason == e.Reason && e.Code <= abi.MaxCode {
		return e
	}
	c := *e
	c.Reason = reason
	if c.Code > abi.MaxCode {
		c.Code = abi.CodeProtocolError
	}
	return &c
}

// refuse decides on an event that cannot be put into a batch.
func (x *run) refuse(e abi.Event, fault error) {
	trap := &Trap{Cause: CauseEvent, Message: fault.Error(), Err: fault}
	x.result.Rejections = append(x.result.Rejections, Rejection{Event: e, Trap: trap, Known: true})
	code := abi.CodeMalformed
	if errors.Is(fault, abi.ErrLimit) {
		code = abi.CodeTooLarge
	}
	switch e := e.(type) {
	case *abi.ConnectEvent:
		if _, known := x.table.Get(e.Connection.ID); !known {
			x.decide(nil, refusal(e, code))
		}
	case *abi.RequestEvent:
		x.decide(nil, answer(e, code, code.Info().Text))
	case *abi.MessageEvent:
		switch {
		case code == abi.CodeTooLarge:
			code = abi.CodeTooBig
		case e.Encoding == abi.Text:
			code = abi.CodeInvalidUTF8
		}
		x.decide(nil, &abi.CloseEffect{Connection: e.Connection, Code: code, Reason: abi.CloseReason(code, 0, "")})
	}
}

// reject decides on an event that the room fails on.
func (x *run) reject(e abi.Event, trap *Trap, known bool) {
	x.result.Rejections = append(x.result.Rejections, Rejection{Event: e, Trap: trap, Known: known})
	if !known {
		x.culprits.add(e)
	}
	switch e := e.(type) {
	case *abi.ConnectEvent:
		x.decide(nil, refusal(e, abi.CodeRejected))
	case *abi.RequestEvent:
		x.decide(nil, answer(e, abi.CodeRejected, "The room failed on this request; it was not applied."))
	case *abi.CloseEvent:
		// The connection is gone all the same: the next start does not list it.
		x.decide([]abi.Event{e})
	case *abi.MessageEvent, *abi.ToldEvent:
		x.owed.add(e, abi.CodeRejected)
	}
}

func refusal(e *abi.ConnectEvent, code abi.Code) *abi.CloseEffect {
	return &abi.CloseEffect{Connection: e.Connection.ID, Code: code, Reason: abi.CloseReason(code, 0, "")}
}

// answer is the error body of every HTTP answer. text needs no escapes.
func answer(e *abi.RequestEvent, code abi.Code, text string) *abi.RespondEffect {
	info := code.Info()
	return &abi.RespondEffect{
		Request: e.ID, Status: uint64(info.Status),
		Headers: []abi.Header{{Name: "Content-Type", Value: "application/json"}},
		Body:    []byte(`{"code":"` + info.Name + `","message":"` + text + `"}`),
	}
}
