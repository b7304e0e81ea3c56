package host

import "github.com/oriel-rooms/oriel/rooms/abi"

// owed are rejections that a room has not heard of yet, oldest first. It hears of them before
// anything else, as many per turn as [maxOwed] and [maxOwedTurn] allow.
type owed struct {
	list  []abi.Event
	bytes int
}

const (
	// maxOwed bounds the rejections of one turn, maxOwedTurn their bytes.
	maxOwed     = 128
	maxOwedTurn = abi.MaxBatch / 4
	// maxOwedBytes bounds the bytes of all. Beyond it the sender of an event hears nothing, as
	// if its connection had been lost with it.
	maxOwedBytes = 8 << 20
)

func (o *owed) len() int { return len(o.list) }

// add owes the room an event that did not happen.
func (o *owed) add(e abi.Event, code abi.Code) {
	o.again(&abi.RejectedEvent{Code: code, Event: abi.AppendEvent(nil, e)})
}

// again owes a rejection whose turn did not happen.
func (o *owed) again(e *abi.RejectedEvent) {
	if n := rejectedSize(e); o.bytes+n <= maxOwedBytes {
		o.list = append(o.list, e)
		o.bytes += n
	}
}

// take removes what the next turn tells. The result shares no memory with o.
func (o *owed) take() []abi.Event {
	if len(o.list) == 0 {
		return nil
	}
	n, size := 0, 0
	for n < len(o.list) && n < maxOwed {
		size += rejectedSize(o.list[n].(*abi.RejectedEvent))
		if n > 0 && size > maxOwedTurn {
			break
		}
		n++
	}
	return o.cut(n)
}

func (o *owed) cut(n int) []abi.Event {
	out := append([]abi.Event(nil), o.list[:n]...)
	for _, e := range out {
		o.bytes -= rejectedSize(e.(*abi.RejectedEvent))
	}
	if o.list = o.list[n:]; len(o.list) == 0 {
		o.list = nil
	}
	return out
}

// restore puts back what was taken.
func (o *owed) restore(taken []abi.Event) {
	if len(taken) == 0 {
		return
	}
	for _, e := range taken {
		o.bytes += rejectedSize(e.(*abi.RejectedEvent))
	}
	o.list = append(taken[:len(taken):len(taken)], o.list...)
}

func rejectedSize(e *abi.RejectedEvent) int { return 16 + len(e.Event) }
