package test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/conformance"
	"github.com/oriel-rooms/oriel/rooms/host"
)

// room is a room in a Durable Object, with real clients. Events are real frames, real ends of
// connections and the platform's own alarms; sleep is the platform's eviction; the storage fails in SQLite.
type room struct {
	t       testing.TB
	workerd *workerd
	kind    string
	name    string
	now     uint64 // milliseconds since 1970
	state   conformance.StorageState
	clients map[uint64]*client
}

// client is one connection. It is read only when all that it can have got was sent.
type client struct {
	id   uint64
	ws   *websocket.Conn
	sent int // messages
}

// order and report are those of kit.ts.
type order struct {
	Clock   uint64 `json:"clock,omitempty"`
	SQL     string `json:"sql,omitempty"`
	Version *int   `json:"version,omitempty"`
	Ring    bool   `json:"ring,omitempty"`
	User    string `json:"user,omitempty"`
	Heard   int    `json:"heard,omitempty"`
	Ended   bool   `json:"ended,omitempty"`
	Mark    string `json:"mark,omitempty"`
}

type report struct {
	Open   []string     `json:"open"`
	Traps  []host.Cause `json:"traps"`
	Faults []string     `json:"faults"`
}

// Room implements [conformance.Driver].
func (w *workerd) Room(t testing.TB, kind string) conformance.Room {
	r := &room{t: t, workerd: w, kind: kind, name: unique(), now: conformance.Epoch, clients: map[uint64]*client{}}
	r.order(order{Clock: r.now, Version: new(int)})
	t.Cleanup(func() {
		for _, c := range r.clients {
			_ = c.ws.CloseNow()
		}
	})
	return r
}

func (r *room) object() string { return r.kind + "/" + r.name }

func (r *room) order(o order) (got report) {
	r.t.Helper()
	r.workerd.post(r.t, r.workerd.worker+"/kit/"+r.object(), o, &got)
	for _, fault := range got.Faults {
		r.t.Errorf("the host says: %s", fault)
	}
	return got
}

// Run implements [conformance.Room]. The object gets the events one by one, as a platform brings them: each
// is handled before the next one goes out.
func (r *room) Run(events ...abi.Event) conformance.Result {
	r.t.Helper()
	var handled order
	var traps []host.Cause
	for _, e := range events {
		if handled != (order{}) {
			traps = append(traps, r.order(handled).Traps...)
			handled = order{}
		}
		switch e := e.(type) {
		case *abi.ConnectEvent:
			r.connect(e)
		case *abi.MessageEvent:
			if c := r.clients[e.Connection]; c != nil {
				r.send(c, e)
				handled = order{User: user(c.id), Heard: c.sent}
			}
		case *abi.CloseEvent: // the client vanishes
			if c := r.clients[e.Connection]; c != nil {
				delete(r.clients, e.Connection)
				_ = c.ws.CloseNow()
				handled = order{User: user(c.id), Ended: true}
			}
		default:
			r.t.Fatalf("no way to bring about a %v", e.Type())
		}
	}
	result := r.settle(handled)
	result.Rejected = append(traps, result.Rejected...)
	return result
}

// connect plays the front: it says who comes.
func (r *room) connect(e *abi.ConnectEvent) {
	r.t.Helper()
	visit, err := json.Marshal(map[string]any{
		"to": "socket", "kind": r.kind, "room": r.name, "user": user(e.Connection.ID), "query": e.Query, "address": e.Address,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, r.workerd.worker+"/kit/"+r.object(), &websocket.DialOptions{
		HTTPClient: r.workerd.http, HTTPHeader: http.Header{"Oriel-Visit": {inASCII(visit)}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ws.SetReadLimit(abi.MaxMessage)
	r.clients[e.Connection.ID] = &client{id: e.Connection.ID, ws: ws}
}

// inASCII writes JSON as a header holds it, as edge/host/visit.ts does.
func inASCII(json []byte) string {
	var b strings.Builder
	for _, c := range utf16.Encode([]rune(string(json))) {
		if c < 0x7f && c != '%' {
			b.WriteByte(byte(c))
		} else {
			fmt.Fprintf(&b, `\u%04x`, c)
		}
	}
	return b.String()
}

func (r *room) send(c *client, e *abi.MessageEvent) {
	r.t.Helper()
	typ := websocket.MessageText
	if e.Encoding == abi.Binary {
		typ = websocket.MessageBinary
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, typ, e.Data); err != nil {
		r.t.Fatal(err)
	}
	c.sent++
}

// settle gives an order and collects what all clients have got: an open one up to a last frame that the order
// brings, the others up to their close.
func (r *room) settle(o order) (result conformance.Result) {
	r.t.Helper()
	o.Mark = unique()
	got := r.order(o)
	result.Rejected = got.Traps
	for _, id := range slices.Sorted(maps.Keys(r.clients)) {
		c := r.clients[id]
		open := slices.Contains(got.Open, user(id))
		for {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			typ, data, err := c.ws.Read(ctx)
			cancel()
			var closed websocket.CloseError
			if errors.As(err, &closed) && !open {
				delete(r.clients, id)
				switch code := abi.Code(closed.Code); code {
				case abi.CodeStorageUnavailable, abi.CodeRoomUnavailable:
					result.Undone = cmp.Or(result.Undone, code)
				default:
					result.Seen = append(result.Seen, conformance.CloseLine(id, code, closed.Reason))
				}
				break
			}
			if err != nil {
				r.t.Fatalf("client %d, open %t: %v", id, open, err)
			}
			if open && string(data) == o.Mark {
				break
			}
			enc := abi.Text
			if typ == websocket.MessageBinary {
				enc = abi.Binary
			}
			result.Seen = append(result.Seen, conformance.FrameLine(id, enc, data))
		}
	}
	return result
}

// Sleep implements [conformance.Room].
func (r *room) Sleep() { r.t.Helper(); r.workerd.evict(r.t, r.object()) }

// Pass implements [conformance.Room].
func (r *room) Pass(d time.Duration) conformance.Result {
	r.t.Helper()
	r.now += uint64(d.Milliseconds())
	return r.settle(order{Clock: r.now, Ring: true})
}

// Ring implements [conformance.Room].
func (r *room) Ring() conformance.Result { r.t.Helper(); return r.settle(order{Ring: true}) }

// Storage implements [conformance.Room]. The database itself fails: no row can be read because the
// table is gone, no commit succeeds because a trigger forbids it at its last statement.
func (r *room) Storage(s conformance.StorageState) bool {
	r.t.Helper()
	broken := map[conformance.StorageState][2]string{
		conformance.Sound:     {},
		conformance.ReadsFail: {"ALTER TABLE oriel_rows RENAME TO hidden;", "ALTER TABLE hidden RENAME TO oriel_rows;"},
		conformance.CommitsFail: {
			"CREATE TRIGGER full BEFORE INSERT ON oriel_state WHEN NEW.commits > (SELECT commits FROM oriel_state) BEGIN SELECT RAISE(ABORT, 'the disk is full'); END;",
			"DROP TRIGGER full;",
		},
	}
	change, ok := broken[s]
	if !ok {
		return false
	}
	r.order(order{SQL: broken[r.state][1] + change[0]})
	r.state = s
	return true
}

// Delete implements [conformance.Room].
func (r *room) Delete(key string) {
	r.t.Helper()
	r.order(order{SQL: fmt.Sprintf("DELETE FROM oriel_rows WHERE key = x'%x'", key)})
}

// Replace implements [conformance.Room]: a new version comes with a reset of the object. The platform drops
// the sockets then, but the host must not depend on it.
func (r *room) Replace() abi.StartReason {
	r.t.Helper()
	next := 1
	r.order(order{Version: &next})
	r.Sleep()
	return abi.StartWake
}

func user(id uint64) string { return fmt.Sprint("user", id) }
