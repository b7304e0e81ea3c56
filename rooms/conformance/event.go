package conformance

import (
	"fmt"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// connect is a client that connects with commands for its query. The room says since when.
func connect(id uint64, commands string) *abi.ConnectEvent {
	return &abi.ConnectEvent{
		Connection: abi.Connection{ID: id, User: fmt.Sprint("user", id)}, Query: commands, Address: "192.0.2.1",
	}
}

func message(id uint64, commands string) *abi.MessageEvent {
	return &abi.MessageEvent{Connection: id, Encoding: abi.Text, Data: []byte(commands)}
}

func gone(id uint64) *abi.CloseEvent {
	return &abi.CloseEvent{Connection: id, Code: abi.CodeAbnormal, Reason: "broken"}
}

func request(id uint64, commands string) *abi.RequestEvent {
	return &abi.RequestEvent{ID: id, Method: "POST", Path: "/" + strings.ReplaceAll(commands, " ", "+"), User: "ann", Body: []byte("body")}
}

func told(id uint64, commands string) *abi.ToldEvent {
	return &abi.ToldEvent{FromKind: "probe", FromRoom: "other", ID: id, Data: []byte(commands)}
}

// presence is of users, each followed by whether it is online.
func presence(users ...any) *abi.PresenceEvent {
	e := &abi.PresenceEvent{}
	for i := 0; i < len(users); i += 2 {
		e.Users = append(e.Users, abi.UserPresence{User: users[i].(string), Online: users[i+1].(bool)})
	}
	return e
}

func notified(id uint64, text string) *abi.NotifiedEvent {
	return &abi.NotifiedEvent{Connection: id, FromKind: "probe", FromRoom: "other", Event: "test", Encoding: abi.Text, Data: []byte(text)}
}
