package rooms_test

import (
	"fmt"

	"github.com/oriel-rooms/oriel/rooms"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
)

// Counter is a whole kind of room: it counts what everybody says, for ever.
type Counter struct{}

func (Counter) Connect(room *rooms.Room, c *rooms.Connection) error {
	count, _ := room.Storage().Get("count")
	c.Send(rooms.Text("so far " + string(count)))
	return nil
}

func (Counter) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	count, _ := room.Storage().Get("count")
	count = append(count, '|')
	room.Storage().Put("count", count)
	room.Broadcast(rooms.Text(from.User() + " said " + string(m.Data) + ", the count is " + string(count)))
}

func init() {
	rooms.Register("counter", func() rooms.Kind { return Counter{} }, rooms.Options{Members: 100})
}

// A kind is registered in an init function and tested natively with package roomtest.
func ExampleRegister() {
	var t example // in a test: t *testing.T
	h := roomtest.New(t, roomtest.Options{Kind: "counter"})
	ann := h.Connect("ann")
	ann.Send("hello")
	h.Sleep() // what is stored survives
	bob := h.Connect("bob")
	bob.Send("hi")
	fmt.Println(ann.Texts())
	fmt.Println(bob.Texts())
	// Output:
	// [so far  ann said hello, the count is | bob said hi, the count is ||]
	// [so far | bob said hi, the count is ||]
}

// Welcome refuses banned users and greets the others by their tag.
type Welcome struct{}

func (Welcome) Connect(room *rooms.Room, c *rooms.Connection) error {
	if c.User() == "mallory" {
		return &rooms.CloseError{Code: 4600, Reason: "banned"}
	}
	c.SetTags(c.Query())
	room.BroadcastTo(rooms.Audience{Tag: c.Query(), Except: []*rooms.Connection{c}}, rooms.Text(c.User()+" joined "+c.Query()))
	return nil
}

// An error of Connect refuses the client, and tags let a broadcast select.
func ExampleConnectHandler() {
	var t example
	var m rooms.Module
	m.Register("welcome", func() rooms.Kind { return Welcome{} }, rooms.Options{})
	h := roomtest.New(t, roomtest.Options{Module: &m, Kind: "welcome"})
	ann := h.Connect("ann", roomtest.WithQuery("red"))
	h.Connect("bob", roomtest.WithQuery("blue"))
	h.Connect("cid", roomtest.WithQuery("red"))
	mallory := h.Connect("mallory")
	code, reason, closed := mallory.Closed()
	fmt.Println(ann.Texts(), closed, int(code), reason)
	// Output: [cid joined red] true 4600 banned
}

// Ring rings once after a minute, however often the room sleeps in between.
type Ring struct{}

func (Ring) Connect(room *rooms.Room, _ *rooms.Connection) error {
	if _, set := room.Alarm(); !set {
		room.SetAlarm(room.Now().Add(minute))
	}
	return nil
}

func (Ring) Alarm(room *rooms.Room, _ rooms.Alarm) { room.Broadcast(rooms.Text("ring")) }

func ExampleAlarmHandler() {
	var t example
	var m rooms.Module
	m.Register("ring", func() rooms.Kind { return Ring{} }, rooms.Options{})
	h := roomtest.New(t, roomtest.Options{Module: &m, Kind: "ring"})
	ann := h.Connect("ann")
	h.Sleep()
	h.Advance(minute)
	fmt.Println(ann.Texts())
	// Output: [ring]
}

// Circle watches whom its members name, and hands on what others say to them.
type Circle struct{}

func (Circle) Message(room *rooms.Room, from *rooms.Connection, m rooms.Message) {
	if err := room.Watch(string(m.Data)); err != nil {
		from.Send(rooms.Text("not watched: " + err.Error()))
		return
	}
	room.Notify(string(m.Data), "watched", rooms.Text(from.User()))
}

func (Circle) Presence(room *rooms.Room, users []abi.UserPresence) {
	for _, u := range users {
		room.Broadcast(rooms.Text(fmt.Sprintf("%s online: %t", u.User, u.Online)))
	}
}

func (Circle) Notified(_ *rooms.Room, to *rooms.Connection, n rooms.Notified) {
	to.Send(rooms.Text(n.Event + " by " + string(n.Data)))
}

// A room hears of the users whom it watches, and says something to a user on all devices. In a test
// [roomtest.Host.SetOnline] is the rest of the service.
func ExampleRoom_Watch() {
	var t example
	module := &rooms.Module{}
	module.Register("circle", func() rooms.Kind { return Circle{} }, rooms.Options{})
	h := roomtest.New(t, roomtest.Options{Module: module, Kind: "circle"})
	ann := h.Connect("ann")
	ann.Send("bob")
	h.SetOnline("bob", true)
	for _, n := range h.Notifies() {
		fmt.Println(n.User, "is notified:", n.Event, string(n.Data))
	}
	ann.Notify("circle", "other", "watched", rooms.Text("cid"))
	fmt.Println(ann.Texts())
	// Output:
	// bob is notified: watched ann
	// [bob online: false bob online: true watched by cid]
}
