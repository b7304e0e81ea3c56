package rooms

import "github.com/oriel-rooms/oriel/rooms/abi"

// A Rehearser tells what a client of the kind typically sends, in order: Rehearsal is asked of a
// value of the kind that no room uses. protocol is one of the kind's subprotocols, or empty.
//
// A host keeps the memory of a module that has just started as the image of all its rooms, and a
// room pays for each page that it changes. So the module lives a few made-up lives before
// ([Instance.Rehearse]): what they grow need not grow in each room again. A kind without
// this method lives them too, without messages.
type Rehearser interface {
	Rehearsal(protocol string) []Message
}

const (
	// rehearsalMembers is how many connections a made-up room has.
	rehearsalMembers = 4
	// rehearsalHandle is beyond those that hosts count up to.
	rehearsalHandle = 1<<64 - 1
	// rehearsalTime is any time at all.
	rehearsalTime = 1_700_000_000_000
)

// Rehearse lets a room of each kind live once, with made-up clients and an empty storage, and
// forgets it. It does nothing if the instance has rooms. A kind that panics without its rows is
// left alone.
func (i *Instance) Rehearse() {
	if i.Rooms() > 0 {
		return
	}
	host, after := i.host, i.afterTurn
	i.host, i.afterTurn = nobody{}, nil
	defer func() { i.host, i.afterTurn = host, after }()
	for k := range i.module.kinds {
		kind := &i.module.kinds[k]
		protocols := kind.options.Protocols
		if len(protocols) == 0 {
			protocols = []string{""}
		}
		for _, p := range protocols {
			i.rehearse(kind, p)
		}
	}
}

func (i *Instance) rehearse(k *registered, protocol string) {
	defer func() {
		if recover() != nil {
			i.forget(rehearsalHandle)
		}
	}()
	r := rehearsal{instance: i, batch: abi.Batch{Handle: rehearsalHandle, Time: rehearsalTime}}
	var messages []Message
	if kind, ok := k.new().(Rehearser); ok {
		messages = kind.Rehearsal(protocol)
	}
	r.turn(&abi.StartEvent{Kind: k.options.Name, Room: "rehearsal", Reason: abi.StartCold, Term: "rehearsal"})
	for id := uint64(1); id <= rehearsalMembers; id++ {
		r.turn(&abi.ConnectEvent{Connection: abi.Connection{ID: id, User: "user-" + string(rune('0'+id)), Protocol: protocol, Since: rehearsalTime}})
		for _, m := range messages {
			r.turn(&abi.MessageEvent{Connection: id, Encoding: m.encoding(), Data: m.Data})
		}
	}
	r.turn(&abi.TickEvent{})
	r.turn(&abi.AlarmEvent{Scheduled: rehearsalTime})
	for id := uint64(1); id <= rehearsalMembers; id++ {
		r.turn(&abi.CloseEvent{Connection: id, Code: abi.CodeNormal, Clean: true})
	}
	r.turn(&abi.ForgetEvent{})
}

// rehearsal makes the turns of a made-up room.
type rehearsal struct {
	instance *Instance
	batch    abi.Batch
	encoded  []byte
}

func (r *rehearsal) turn(e abi.Event) {
	r.batch.Time++
	r.batch.Events = append(r.batch.Events[:0], e)
	r.encoded = abi.AppendBatch(r.encoded[:0], &r.batch)
	r.instance.Turn(r.encoded)
}

// nobody is the host of a rehearsal.
type nobody struct{}

func (nobody) Get(string) ([]byte, bool)             { return nil, false }
func (nobody) List(abi.ListRequest) abi.ListResponse { return abi.ListResponse{} }
func (nobody) Log(abi.LogLevel, string)              {}
