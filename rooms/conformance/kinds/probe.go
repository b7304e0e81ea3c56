package kinds

import (
	"strconv"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Probe runs commands. A message, a connect's query, a request's path behind the slash and a
// told's data are commands with " ; " between them; what it hears otherwise it broadcasts. A
// command is a word and its arguments with blanks between them, of which the last may hold
// blanks itself. Me is the connection that sent the message or connects.
//
//	send X, bin X             sends X to me, as text or binary
//	conflate KEY X            sends X to me under a conflation key
//	say X, saybin X           broadcasts X
//	saykey KEY X              broadcasts X under a conflation key
//	others X                  broadcasts X to all but me
//	tagged TAG X              broadcasts X to those with the tag
//	spoken PROTOCOL X         broadcasts X to those of a subprotocol
//	close CODE REASON         closes me; in a connect it refuses
//	refuse CODE REASON        refuses a connect by an error
//	kick ID, kickall          closes another, everybody
//	tags A B C                sets my tags
//	attach X, attachn N       attaches X, or N bytes
//	mute, unmute              takes me out of broadcasts, or back in
//	me                        sends what the room knows of me
//	room, members             sends what it knows of itself, and its connections
//	put KEY X, putn KEY N     writes a row of X, or of N bytes
//	get KEY, len KEY          sends a row, or its length
//	del KEY, clear A B        deletes a row, or a range; "." is an empty bound
//	list A B LIMIT, tsil ...  sends rows, forwards or backwards
//	alarm MS, noalarm, when   sets the alarm MS from now, clears it, sends it
//	tick MS                   asks for ticks
//	tell KIND ROOM X          tells another room
//	watch USER, unwatch USER  watches a user, or no more; watched USER sends whether
//	notify USER EVENT X       says X to a user
//	log LEVEL X               logs
//	count                     sends how often it was asked since the start
//	rand                      sends a number of the turn's randomness
//	respond STATUS X          answers the request; keep ID keeps it for answer ID X
//	fail CODE X               answers the request with an error
//
// The commands of faults.go break the rules.
type Probe struct {
	asked   int
	later   map[string]*rooms.Request
	request *rooms.Request
	refusal error
	keep    [][]byte // hunger
}

// Start broadcasts why it starts and who is there.
func (p *Probe) Start(room *rooms.Room) {
	room.Broadcast(rooms.Text("start " + strconv.Itoa(int(room.StartReason())) + members(room)))
}

// Connect runs the query.
func (p *Probe) Connect(room *rooms.Room, c *rooms.Connection) error {
	p.refusal = nil
	p.do(room, c, c.Query())
	return p.refusal
}

// Message runs the message.
func (p *Probe) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	p.do(room, from, string(m.Data))
}

// Close says who has gone.
func (p *Probe) Close(room *rooms.Room, c *rooms.Connection, code abi.Code, reason string) {
	room.Broadcast(rooms.Text("gone " + id(c) + " " + strconv.Itoa(int(code)) + " " + reason))
	if string(c.Attachment()) == "poison" {
		panic("the room fails on this close")
	}
}

// Alarm says so, and fails if the row "alarm" says so.
func (p *Probe) Alarm(room *rooms.Room, a rooms.Alarm) {
	room.Broadcast(rooms.Text("alarm " + strconv.FormatInt(a.ScheduledMillis, 10) + " " + strconv.Itoa(a.Attempt)))
	if command, ok := room.Storage().Get("alarm"); ok {
		p.do(room, nil, string(command))
	}
}

// Tick says so.
func (p *Probe) Tick(room *rooms.Room, t rooms.Tick) {
	room.Broadcast(rooms.Text("tick " + strconv.Itoa(t.Missed)))
}

// Request runs the path behind its slash.
func (p *Probe) Request(room *rooms.Room, r *rooms.Request) {
	p.request = r
	p.do(room, nil, strings.ReplaceAll(strings.TrimPrefix(r.Path, "/"), "+", " "))
	p.request = nil
}

// Rejected says what failed.
func (p *Probe) Rejected(room *rooms.Room, code abi.Code, e abi.Event) {
	text := "rejected " + code.String() + " " + e.Type().String()
	if m, ok := e.(*abi.MessageEvent); ok {
		text += " " + strconv.FormatUint(m.Connection, 10)
		if strings.HasSuffix(string(m.Data), "again") {
			panic("the room fails on being told too")
		}
	}
	room.Broadcast(rooms.Text(text))
}

// Told says what it was told, and runs it.
func (p *Probe) Told(room *rooms.Room, t rooms.Told) {
	room.Broadcast(rooms.Text("told " + t.FromKind + "/" + t.FromRoom + " " + strconv.FormatUint(t.ID, 10) + " " + string(t.Data)))
	p.do(room, nil, string(t.Data))
}

// Notified says so to the connection.
func (p *Probe) Notified(_ *rooms.Room, to *rooms.Connection, n rooms.Notified) {
	text := "notified " + n.FromKind + "/" + n.FromRoom + " " + n.Event + " "
	to.Send(rooms.Message{Encoding: n.Encoding, Data: append([]byte(text), n.Data...)})
}

func id(c *rooms.Connection) string { return strconv.FormatUint(c.ID(), 10) }

func members(room *rooms.Room) string {
	s := ""
	for c := range room.Connections() {
		s += " " + id(c)
	}
	return s
}

func (p *Probe) do(room *rooms.Room, me *rooms.Connection, commands string) {
	for command := range strings.SplitSeq(commands, " ; ") {
		word, rest, _ := strings.Cut(command, " ")
		if !p.talk(room, me, word, rest) && !p.store(room, me, word, rest) && !p.live(room, me, word, rest) {
			p.fault(room, me, word, rest)
		}
	}
}

// reply sends to me, or to everybody if there is no me.
func reply(room *rooms.Room, me *rooms.Connection, text string) {
	if me == nil {
		room.Broadcast(rooms.Text(text))
		return
	}
	me.Send(rooms.Text(text))
}

// talk runs the commands that send.
func (p *Probe) talk(room *rooms.Room, me *rooms.Connection, word, rest string) bool {
	first, second, _ := strings.Cut(rest, " ")
	switch word {
	case "send":
		reply(room, me, rest)
	case "bin":
		me.Send(rooms.Binary([]byte(rest)))
	case "conflate":
		me.Send(rooms.Message{Key: first, Data: []byte(second)})
	case "say":
		room.Broadcast(rooms.Text(rest))
	case "saybin":
		room.Broadcast(rooms.Binary([]byte(rest)))
	case "saykey":
		room.Broadcast(rooms.Message{Key: first, Data: []byte(second)})
	case "others":
		room.BroadcastTo(rooms.Audience{Except: []*rooms.Connection{me}}, rooms.Text(rest))
	case "tagged":
		room.BroadcastTo(rooms.Audience{Tag: first}, rooms.Text(second))
	case "spoken":
		room.BroadcastTo(rooms.Audience{Protocol: first}, rooms.Text(second))
	case "me":
		reply(room, me, strings.Join([]string{
			id(me), me.User(), string(me.Claims()), me.Protocol(), strconv.FormatInt(me.Since().UnixMilli(), 10),
			strings.Join(me.Tags(), ","), string(me.Attachment()), strconv.FormatBool(me.Muted()), me.Address(),
		}, "|"))
	case "room":
		reply(room, me, strings.Join([]string{
			room.Kind(), room.Name(), room.Term(), strconv.Itoa(int(room.StartReason())),
			strconv.FormatInt(room.NowMillis(), 10), strconv.Itoa(room.Len()), strconv.FormatBool(room.StoreAway()),
		}, "|"))
	case "members":
		reply(room, me, "members"+members(room))
	case "count":
		p.asked++
		reply(room, me, strconv.Itoa(p.asked))
	case "rand":
		reply(room, me, strconv.FormatUint(room.Rand().Uint64(), 10))
	case "log":
		room.Log(abi.LogLevel(number(first)), second)
	default:
		return false
	}
	return true
}

// store runs the commands about rows.
func (p *Probe) store(room *rooms.Room, me *rooms.Connection, word, rest string) bool {
	first, second, _ := strings.Cut(rest, " ")
	s := room.Storage()
	switch word {
	case "put":
		s.Put(first, []byte(second))
	case "putn":
		s.Put(first, make([]byte, number(second)))
	case "get":
		value, ok := s.Get(rest)
		if !ok {
			value = []byte("absent")
		}
		reply(room, me, string(value))
	case "len":
		value, _ := s.Get(rest)
		reply(room, me, strconv.Itoa(len(value)))
	case "del":
		s.Delete(rest)
	case "clear":
		s.DeleteRange(bound(first), bound(second))
	case "list", "tsil":
		end, limit, _ := strings.Cut(second, " ")
		rows, more := s.List(rooms.ListOptions{Start: bound(first), End: bound(end), Limit: number(limit), Reverse: word == "tsil"})
		text := word
		for _, e := range rows {
			text += " " + e.Key + "=" + strconv.Itoa(len(e.Value))
		}
		reply(room, me, text+" "+strconv.FormatBool(more))
	case "fill": // many rows in one turn
		for i := range number(first) {
			s.Put("row"+strconv.Itoa(1_000_000 + i)[1:], nil)
		}
	default:
		return false
	}
	return true
}

// live runs the commands about connections, time, requests and other rooms.
func (p *Probe) live(room *rooms.Room, me *rooms.Connection, word, rest string) bool {
	first, second, _ := strings.Cut(rest, " ")
	switch word {
	case "":
	case "close":
		me.Close(abi.Code(number(first)), second)
	case "refuse":
		p.refusal = &rooms.CloseError{Code: abi.Code(number(first)), Reason: second}
	case "kick":
		n, _ := strconv.ParseUint(rest, 10, 64)
		if c := room.Connection(n); c != nil {
			c.Close(abi.CodeKicked, "kicked")
		}
	case "kickall":
		for c := range room.Connections() {
			c.Close(abi.CodeKicked, "everybody out")
		}
	case "tags":
		me.SetTags(strings.Fields(rest)...)
	case "attach":
		me.Attach([]byte(rest))
	case "attachn":
		me.Attach(make([]byte, number(rest)))
	case "mute":
		me.Mute(true)
	case "unmute":
		me.Mute(false)
	case "alarm":
		room.SetAlarm(room.Now().Add(time.Duration(number(rest)) * time.Millisecond))
	case "noalarm":
		room.ClearAlarm()
	case "when":
		at, set := room.Alarm()
		reply(room, me, strconv.FormatInt(at.UnixMilli(), 10)+" "+strconv.FormatBool(set))
	case "tick":
		room.SetTick(time.Duration(number(rest)) * time.Millisecond)
	case "tell":
		name, data, _ := strings.Cut(second, " ")
		room.Tell(first, name, []byte(data))
	case "watch":
		if err := room.Watch(rest); err != nil {
			reply(room, me, "not watched: "+err.Error())
		}
	case "unwatch":
		room.Unwatch(rest)
	case "watched":
		reply(room, me, strconv.FormatBool(room.Watched(rest)))
	case "notify":
		event, data, _ := strings.Cut(second, " ")
		room.Notify(first, event, rooms.Text(data))
	case "respond":
		p.request.Respond(number(first), "text/plain", []byte(second))
	case "fail":
		p.request.RespondError(abi.Code(number(first)), second)
	case "keep":
		p.later[first] = p.request
	case "answer":
		if r := p.later[first]; r != nil {
			r.Respond(200, "", []byte(second))
		}
	default:
		return false
	}
	return true
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func bound(s string) string {
	if s == "." {
		return ""
	}
	return s
}
