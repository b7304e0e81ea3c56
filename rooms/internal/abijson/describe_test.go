package abijson_test

import (
	"encoding/json"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/abijson"
)

func TestForms(t *testing.T) {
	for _, tt := range []struct {
		got  json.RawMessage
		want string
	}{
		{abijson.Event(&abi.MessageEvent{Connection: 1<<64 - 1, Encoding: abi.Text, Data: []byte("hi")}),
			`{"type":"message","connection":"18446744073709551615","encoding":"text","data":"6869"}`},
		{abijson.Event(&abi.ForgetEvent{}), `{"type":"forget"}`},
		{abijson.Event(&abi.ToldEvent{FromKind: "a", FromRoom: "b", ID: 7}),
			`{"type":"told","fromKind":"a","fromRoom":"b","id":"7","data":""}`},
		{abijson.Effect(&abi.BroadcastEffect{Encoding: abi.Binary, Except: []uint64{1, 2}}),
			`{"type":"broadcast","encoding":"binary","protocol":"","tag":"","key":"","except":["1","2"],"data":""}`},
		{abijson.Value(&abi.Batch{Handle: 1, Events: []abi.Event{&abi.TickEvent{}}}),
			`{"handle":"1","time":"0","seed":"` + zeros + `","storeAway":false,"events":[{"type":"tick","missed":"0"}]}`},
		{abijson.Value(abi.ListResponse{}), `{"entries":[],"more":false}`},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("got  %s\nwant %s", tt.got, tt.want)
		}
		if !json.Valid(tt.got) {
			t.Errorf("not JSON: %s", tt.got)
		}
	}
}

const zeros = "0000000000000000000000000000000000000000000000000000000000000000"
