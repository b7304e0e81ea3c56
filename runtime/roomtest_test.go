package runtime_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	_ "github.com/oriel-rooms/oriel/rooms/chat" // the kind, natively
	"github.com/oriel-rooms/oriel/rooms/host"
	"github.com/oriel-rooms/oriel/rooms/roomtest"
	"github.com/oriel-rooms/oriel/runtime"
)

var shippedModule = sync.OnceValues(func() ([]byte, error) { return build("../rooms/shipped", "1") })

// TestRoomtestOnWasm runs one roomtest twice: on the Go code of the chat and on its compiled module.
// Both clients hear the same.
func TestRoomtestOnWasm(t *testing.T) {
	binary, err := shippedModule()
	if err != nil {
		t.Fatal(err)
	}
	module, err := newRuntime(t, runtime.Options{}).Load(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	wasm := func(tb testing.TB) host.Guest {
		room, err := module.NewRoom("chat/room")
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = room.Close() })
		return room
	}
	talk := func(guest func(testing.TB) host.Guest) (heard []string) {
		h := roomtest.New(t, roomtest.Options{Kind: "chat", Guest: guest})
		ann, bob := h.Connect("ann", roomtest.WithProtocol("oriel.v1.json")), h.Connect("bob", roomtest.WithProtocol("oriel.v1.json"))
		ann.Send(`{"type":"hello"}`)
		bob.Send(`{"type":"hello"}`)
		for i := range 5 {
			ann.Send(fmt.Sprintf(`{"type":"publish","seq":%d,"event":"message","data":{"text":"hi %d"}}`, i+1, i))
			h.Sleep()
		}
		return append(ann.Texts(), bob.Texts()...)
	}
	native, compiled := talk(nil), talk(wasm)
	if !slices.Equal(native, compiled) {
		t.Errorf("native: %q\n  wasm: %q", native, compiled)
	}
	if all := strings.Join(compiled, "\n"); strings.Count(all, `"text":"hi 4"`) != 2 || !strings.Contains(all, `"type":"ack","seq":5,"offset":5`) {
		t.Errorf("heard %s", all)
	}
}
