package rooms

import (
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/small"
)

// Host is what an [Instance] asks of whatever runs it: the imports of ABI.md.
type Host interface {
	// Get returns a row of the room whose turn runs, as earlier turns left it. The value
	// belongs to the caller.
	Get(key string) (value []byte, ok bool)
	// List returns rows of that room.
	List(q abi.ListRequest) abi.ListResponse
	// Log takes one line.
	Log(level abi.LogLevel, line string)
}

// An Instance runs the rooms of one module inside one memory: the guest's side of the ABI.
// Room authors never see it; the WebAssembly exports and the native test host do. It is not
// safe for concurrent use.
type Instance struct {
	module *Module
	host   Host
	rooms  small.Map[uint64, *Room]
	// spares are rooms that were made before they are needed; see Prepare.
	spares []*Room

	batch abi.BatchReader
	out   []byte // the turn's effects, encoded
	count int    // how many they are
	// home is what out is while it suffices; may be nil.
	home    []byte
	key     []byte // of the row that is being written
	scratch []byte // see Scratch
	// afterTurn runs when the handlers are done; a WebAssembly build yields to the
	// collector there and looks for goroutines that were left behind.
	afterTurn func()
	// collect, if not nil, stops the collector or lets it go on.
	collect func(bool)
	held    bool // it is stopped
}

// NewInstance returns an instance without rooms.
func NewInstance(m *Module, h Host) *Instance {
	return &Instance{module: m, host: h}
}

// Rooms is the number of rooms that live in the instance.
func (i *Instance) Rooms() int { return i.rooms.Len() }

// countSpace is kept free before the first effect for their number.
const countSpace = 3

// Turn runs one batch and returns the encoded effects, valid until the next call. It panics when
// a handler does, when a handler breaks a rule of the SDK, and when the batch is not an
// encoding of one: the host throws the instance away then.
func (i *Instance) Turn(batch []byte) []byte {
	if err := i.batch.Reset(batch); err != nil {
		badBatch(err)
	}
	t := &i.batch.Head
	i.begin()
	if i.batch.Restored() > largeStart {
		i.hold()
	}
	room := i.rooms.Get(t.Handle)
	if room != nil {
		room.begin(t)
	}
	for {
		e, err := i.batch.Next()
		if err != nil {
			badBatch(err)
		}
		if e == nil {
			break
		}
		switch e := e.(type) {
		case *abi.MessageEvent: // first: most are
			if room == nil {
				unstarted()
			}
			room.message(e)
		case *abi.StartEvent:
			if room != nil {
				panic("rooms: the host started a handle twice")
			}
			room = i.start(t, e)
			i.letGo()
		case *abi.ForgetEvent:
			i.forget(t.Handle)
			room = nil
		default:
			if room == nil {
				unstarted()
			}
			room.handle1(e)
		}
	}
	if i.afterTurn != nil {
		i.afterTurn()
	}
	return i.encoded()
}

// largeStart is the number of connections beyond which a start runs without the collector: nearly all
// that it makes stays, and to find that out again and again costs more than all else.
const largeStart = 256

// hold stops the collector, where there is a way to, until letGo.
func (i *Instance) hold() {
	if i.collect != nil && !i.held {
		i.held = true
		i.collect(false)
	}
}

func (i *Instance) letGo() {
	if i.held {
		i.held = false
		i.collect(true)
	}
}

func unstarted() { panic("rooms: the host sent an event to a room that has not started") }

func badBatch(err error) { panic("rooms: the host sent a bad batch: " + err.Error()) }

// keepBuffer is the largest buffer that is kept between turns: one large turn must not cost the
// room its size for ever.
const keepBuffer = 64 << 10

// begin makes the buffers ready for a turn.
func (i *Instance) begin() {
	if cap(i.out) > keepBuffer {
		i.out = i.home
	}
	if cap(i.scratch) > keepBuffer {
		i.scratch = nil
	}
	i.out, i.count = append(i.out[:0], 0, 0, 0), 0 // countSpace
}

// emit makes the turn's effects what an effect's Append has made of i.out: one more. It panics,
// and leaves the effect out, beyond the limits.
func (i *Instance) emit(effects []byte) {
	if i.count == abi.MaxEffectCount {
		panic("rooms: more than 16,384 effects in one turn")
	}
	if len(effects) > abi.MaxEffects && len(effects)-countSpace+abi.UvarintLen(uint64(i.count+1)) > abi.MaxEffects {
		panic("rooms: more than 8 MiB of effects in one turn")
	}
	i.out = effects
	i.count++
}

// encoded puts the number of effects right before them.
func (i *Instance) encoded() []byte {
	n := abi.UvarintLen(uint64(i.count))
	abi.PutUvarint(i.out[countSpace-n:], uint64(i.count))
	return i.out[countSpace-n:]
}

// Prepare makes a room of each kind that nobody uses yet: its first room will be that one. In a
// memory that becomes the image of many, the room's parts lie together and are there already.
func (i *Instance) Prepare() {
	i.spares = i.spares[:0]
	for k := range i.module.kinds {
		i.spares = append(i.spares, newRoom(i, &i.module.kinds[k]))
	}
}

// fewSeats is the number of connections that are made with their room.
const fewSeats = 4

// manySeats is the number of connections that are made at once for those that a start lists: an
// allocation for each would cost as much as all else.
const manySeats = 64

// seated is a room with its first connections.
type seated struct {
	Room
	seats [fewSeats]Connection
}

// newRoom makes a room of a kind, in one piece.
func newRoom(i *Instance, k *registered) *Room {
	r := &seated{}
	r.instance, r.options = i, &k.options
	r.kind = resolve(k.new())
	r.rand = rand.New(&r.source)
	r.Room.seats = r.seats[:]
	r.storage.reset()
	return &r.Room
}

// take returns a spare room of a kind, or makes one.
func (i *Instance) take(k *registered) *Room {
	for _, r := range i.spares {
		if r.options == &k.options && r.handle == 0 {
			return r
		}
	}
	return newRoom(i, k)
}

// forget lets go of a room.
func (i *Instance) forget(handle uint64) {
	if at := slices.Index(i.spares, i.rooms.Get(handle)); at >= 0 {
		i.spares[at] = i.spares[len(i.spares)-1]
		i.spares = i.spares[:len(i.spares)-1]
	}
	i.rooms.Delete(handle)
}

func (i *Instance) start(t *abi.Batch, e *abi.StartEvent) *Room {
	kind := i.module.find(e.Kind)
	if kind == nil {
		panic("rooms: the host started a kind that is not in the module: " + e.Kind)
	}
	r := i.take(kind)
	r.handle, r.name, r.term, r.reason, r.alarm = t.Handle, e.Room, e.Term, e.Reason, e.Alarm
	r.byID.Grow(len(e.Connections))
	for k := range e.Connections {
		if len(r.seats) == 0 {
			r.seats = make([]Connection, min(len(e.Connections)-k, manySeats))
		}
		if r.byID.Get(e.Connections[k].ID) != nil {
			panic("rooms: the host lists a connection twice")
		}
		r.add(r.newConnection(&e.Connections[k]))
	}
	i.rooms.Set(t.Handle, r)
	r.begin(t)
	r.watchAgain()
	if r.kind.start != nil {
		r.kind.start.Start(r)
	}
	return r
}

// begin puts the turn's inputs in place. A turn that trapped never comes back here: its
// instance is gone.
func (r *Room) begin(t *abi.Batch) {
	r.turn++
	r.now = t.Time
	r.seeded = false
	r.alarmSet = false
	r.storeAway = t.StoreAway
	r.storage.reset()
}

// handlers are the interfaces that a kind implements, looked up once.
type handlers struct {
	start    StartHandler
	connect  ConnectHandler
	message  MessageHandler
	close    CloseHandler
	alarm    AlarmHandler
	tick     TickHandler
	request  RequestHandler
	rejected RejectedHandler
	told     ToldHandler
	presence PresenceHandler
	notified NotifiedHandler
}

func resolve(k Kind) (h handlers) {
	h.start, _ = k.(StartHandler)
	h.connect, _ = k.(ConnectHandler)
	h.message, _ = k.(MessageHandler)
	h.close, _ = k.(CloseHandler)
	h.alarm, _ = k.(AlarmHandler)
	h.tick, _ = k.(TickHandler)
	h.request, _ = k.(RequestHandler)
	h.rejected, _ = k.(RejectedHandler)
	h.told, _ = k.(ToldHandler)
	h.presence, _ = k.(PresenceHandler)
	h.notified, _ = k.(NotifiedHandler)
	return h
}

// message hands a message to the kind.
func (r *Room) message(e *abi.MessageEvent) {
	c := r.byID.Get(e.Connection)
	if c != nil && !c.closed && r.kind.message != nil {
		r.kind.message.Message(r, c, Message{Encoding: e.Encoding, Data: e.Data})
	}
}

// handle1 hands one event of another sort to the kind. A close event of a connection that Connect
// refused is not for the kind: for it the connection never was there.
func (r *Room) handle1(e abi.Event) {
	switch e := e.(type) {
	case *abi.ConnectEvent:
		r.connect(e)
	case *abi.CloseEvent:
		if c := r.byID.Get(e.Connection); c != nil {
			r.remove(c)
			if r.kind.close != nil {
				r.kind.close.Close(r, c, e.Code, e.Reason)
			}
		}
	case *abi.AlarmEvent:
		if r.alarmSet {
			return // an earlier event of the batch has cleared it or put another in its place
		}
		r.alarm = 0
		if r.kind.alarm != nil {
			r.kind.alarm.Alarm(r, Alarm{ScheduledMillis: int64(e.Scheduled), Attempt: int(e.Attempt)})
		}
	case *abi.TickEvent:
		if r.kind.tick != nil {
			r.kind.tick.Tick(r, Tick{Missed: int(e.Missed)})
		}
	case *abi.RequestEvent:
		q := &Request{room: r, id: e.ID, Method: e.Method, Path: e.Path, Query: e.Query, User: e.User, Claims: e.Claims, Body: e.Body, headers: e.Headers}
		if r.kind.request == nil {
			q.RespondError(abi.CodeNotFound, "the room takes no requests")
			return
		}
		r.kind.request.Request(r, q)
	case *abi.RejectedEvent:
		if r.kind.rejected == nil {
			return
		}
		original, err := abi.DecodeEvent(e.Event)
		if err != nil {
			panic("rooms: the host rejected something that is not an event: " + err.Error())
		}
		r.kind.rejected.Rejected(r, e.Code, original)
	case *abi.ToldEvent:
		if r.kind.told != nil {
			r.kind.told.Told(r, Told{FromKind: e.FromKind, FromRoom: e.FromRoom, ID: e.ID, Data: e.Data})
		}
	case *abi.PresenceEvent:
		r.presence(e.Users)
	case *abi.NotifiedEvent:
		if c := r.Connection(e.Connection); c != nil && r.kind.notified != nil {
			r.kind.notified.Notified(r, c, Notified{FromKind: e.FromKind, FromRoom: e.FromRoom, Event: e.Event, Encoding: e.Encoding, Data: e.Data})
		}
	}
}

func (r *Room) connect(e *abi.ConnectEvent) {
	if r.byID.Get(e.Connection.ID) != nil {
		panic("rooms: the host connected the same connection twice")
	}
	c := r.newConnection(&e.Connection)
	c.query, c.address, c.connecting = e.Query, e.Address, true
	r.add(c)
	r.instance.emit((&abi.JoinEffect{Connection: c.info.ID}).Append(r.instance.out))
	if r.kind.connect != nil {
		if err := r.kind.connect.Connect(r, c); err != nil {
			c.refuse(err)
		}
	}
	c.connecting, c.query, c.address = false, "", ""
	if c.closed { // refused: it never was in the room
		r.remove(c)
	}
}

func (c *Connection) refuse(err error) {
	if e, ok := errors.AsType[*CloseError](err); ok {
		c.Close(e.Code, e.Reason)
	} else if code, ok := errors.AsType[abi.Code](err); ok {
		c.Close(code, abi.CloseReason(code, 0, ""))
	} else {
		c.Close(abi.CodeForbidden, err.Error())
	}
}

// newConnection makes a connection, and copies what aliases the batch.
func (r *Room) newConnection(info *abi.Connection) *Connection {
	var c *Connection
	if len(r.seats) > 0 {
		c, r.seats = &r.seats[0], r.seats[1:]
	} else {
		c = new(Connection)
	}
	c.info = *info
	c.info.Claims = append([]byte(nil), info.Claims...)
	c.info.Attachment = append(c.attached[:0], info.Attachment...)
	for _, p := range r.options.Protocols {
		if p == info.Protocol {
			c.info.Protocol = p // not a copy for each
		}
	}
	return c
}
