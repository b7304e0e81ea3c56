package admission

import "testing"

// BenchmarkVerdict is one whole decision about a WebSocket upgrade with an HS256 token.
func BenchmarkVerdict(b *testing.B) {
	d := testDoor(b, nil)
	token := mint(b, func(c *Claims) { c.More = map[string]any{"name": "Ann", "role": "host"} })
	r := upgrade("/v1/rooms/chat/lobby", "oriel.v1.json, bearer."+token)
	f := testFacts()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := d.Decide(&r, f).(*Allow); !ok {
			b.Fatal("not allowed")
		}
	}
}

// BenchmarkRefusal is the same without a credential: what a flood costs.
func BenchmarkRefusal(b *testing.B) {
	d := testDoor(b, nil)
	r := upgrade("/v1/rooms/chat/lobby", "oriel.v1.json")
	f := testFacts()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := d.Decide(&r, f).(*Refuse); !ok {
			b.Fatal("not refused")
		}
	}
}
