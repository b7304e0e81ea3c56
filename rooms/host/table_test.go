package host_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/host"
)

func TestTableFollowsEffects(t *testing.T) {
	var table host.Table
	table.Apply(&abi.AttachEffect{Connection: 1}) // unknown: nothing happens
	data := []byte("attached")
	table.Add(abi.Connection{ID: 1, User: "ann", Protocol: "p"})
	table.Add(abi.Connection{ID: 1, User: "again"})
	table.Apply(&abi.AttachEffect{Connection: 1, Data: data})
	data[0] = 'X'
	table.Apply(&abi.TagsEffect{Connection: 1, Tags: []string{"red"}})
	table.Apply(&abi.MuteEffect{Connection: 1, Muted: true})
	c, ok := table.Get(1)
	if !ok || c.User != "ann" || string(c.Attachment) != "attached" || !slices.Equal(c.Tags, []string{"red"}) || !c.Muted {
		t.Errorf("%+v", c)
	}
	before := table.Connections()
	table.Apply(&abi.AttachEffect{Connection: 1, Data: []byte("later")})
	if !bytes.Equal(before[0].Attachment, []byte("attached")) {
		t.Error("a later effect changed what Connections returned")
	}
	clone := table.Clone()
	table.Apply(&abi.CloseEffect{Connection: 1, Code: abi.CodeKicked})
	if table.Has(1) || table.Len() != 1 || len(table.Connections()) != 0 {
		t.Error("a closed connection is still open")
	}
	if !clone.Has(1) {
		t.Error("a clone follows the original")
	}
	if closing := table.Clone(); closing.Has(1) || closing.Len() != 1 {
		t.Error("a clone forgets that a connection is closing")
	}
	table.Remove(1)
	table.Remove(1)
	if _, ok := table.Get(1); ok || table.Len() != 0 {
		t.Error("a removed connection is still there")
	}
}

func TestTableKeepsTheOrder(t *testing.T) {
	var table host.Table
	var want []uint64
	for id := uint64(1); id <= 200; id++ {
		table.Add(abi.Connection{ID: id})
	}
	for id := uint64(1); id <= 200; id++ {
		if id%5 == 0 {
			want = append(want, id)
		} else {
			table.Remove(id)
		}
	}
	table.Add(abi.Connection{ID: 1000})
	want = append(want, 1000)
	if got := ids(table.Connections()); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	var each []uint64
	table.Each(func(id uint64) { each = append(each, id) })
	if !slices.Equal(each, want) {
		t.Errorf("Each: %v", each)
	}
}

func TestRecipients(t *testing.T) {
	var table host.Table
	table.Add(abi.Connection{ID: 1, Protocol: "json", Tags: []string{"red"}})
	table.Add(abi.Connection{ID: 2, Protocol: "json", Tags: []string{"blue", "red"}})
	table.Add(abi.Connection{ID: 3, Protocol: "bin"})
	table.Add(abi.Connection{ID: 4, Protocol: "json", Muted: true})
	table.Add(abi.Connection{ID: 5})
	table.Apply(&abi.CloseEffect{Connection: 5, Code: 4000})
	many := make([]uint64, 20)
	for i := range many {
		many[i] = uint64(i + 2)
	}
	for _, tt := range []struct {
		b    abi.BroadcastEffect
		want []uint64
	}{
		{abi.BroadcastEffect{}, []uint64{1, 2, 3}},
		{abi.BroadcastEffect{Protocol: "json"}, []uint64{1, 2}},
		{abi.BroadcastEffect{Tag: "blue"}, []uint64{2}},
		{abi.BroadcastEffect{Tag: "red", Except: []uint64{1, 9}}, []uint64{2}},
		{abi.BroadcastEffect{Except: many}, []uint64{1}},
		{abi.BroadcastEffect{Tag: "green"}, nil},
		{abi.BroadcastEffect{Protocol: "bin", Tag: "red"}, nil},
	} {
		var got []uint64
		table.Recipients(&tt.b, func(id uint64) { got = append(got, id) })
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.b, got, tt.want)
		}
		for id := uint64(1); id <= 5; id++ {
			if table.Receives(id, &tt.b) != slices.Contains(tt.want, id) {
				t.Errorf("%+v: Receives(%d) is wrong", tt.b, id)
			}
		}
	}
}

// A broadcast reaches those who were in the room when the room asked for it, however the
// events were put into batches.
func TestBroadcastsAndNewcomers(t *testing.T) {
	events := []abi.Event{connect(1), message(1, "say a"), connectWith(2, "say b"), message(1, "say c"), connectWith(3, "close me"), message(2, "say d"), gone(1)}
	together := newBench(t)
	together.run(events...)
	apart := newBench(t)
	for _, e := range events {
		apart.run(e)
	}
	want := []string{"a>1", "b>1,2", "c>1,2", "d>1,2"}
	if !slices.Equal(apart.heard, want) {
		t.Errorf("apart: %v", apart.heard)
	}
	// In one batch connection 1 has ended before the effects leave.
	if want := []string{"a>", "b>2", "c>2", "d>2"}; !slices.Equal(together.heard, want) {
		t.Errorf("together: %v", together.heard)
	}
}

// A guest without join effects has its newcomers in the room from the turn's first effect on.
func TestDeliverWithoutJoin(t *testing.T) {
	var table host.Table
	var got []uint64
	table.Deliver(&host.Turn{
		Events:  []abi.Event{connect(1)},
		Effects: []abi.Effect{&abi.BroadcastEffect{Encoding: abi.Text}},
	}, func(e abi.Effect) {
		table.Recipients(e.(*abi.BroadcastEffect), func(id uint64) { got = append(got, id) })
	})
	if !slices.Equal(got, []uint64{1}) {
		t.Errorf("got %v", got)
	}
}
