package member_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

// TestGoldenRecord: nodes of other versions read what this one writes, and the other way round.
func TestGoldenRecord(t *testing.T) {
	m := member.Member{
		ID: "10.0.0.1:7000#1z.ab2c", Address: "10.0.0.1:7000", Generation: 71, Weight: 100, Draining: true,
		Meta: member.Meta{Version: "1.0", URL: "https://a.example", LinkMin: 1, LinkMax: 2, Formats: map[string]int{"link": 2, "store": 1}},
	}
	const golden = `{"v":1,"weight":100,"draining":true,"version":"1.0","url":"https://a.example","link":[1,2],"formats":{"link":2,"store":1}}`
	if rec, err := m.Encode(); rec != golden || err != nil {
		t.Fatalf("%s, %v", rec, err)
	}
	for _, rec := range []string{golden, strings.Replace(golden, "{", `{"later":[{}],`, 1)} {
		if got, err := member.Decode(m.ID, rec); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v, %v", got, err)
		}
	}
	for _, bad := range []string{"", "null", "[]", `{"v":2,"weight":1}`, `{"v":1}`, `{"v":1,"weight":1001}`, `{"v":1,"weight":"1"}`, golden + "x",
		`{"v":1,"weight":1,"url":"` + strings.Repeat("x", member.MaxRecord) + `"}`} {
		if _, err := member.Decode(m.ID, bad); !errors.Is(err, member.ErrFormat) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestParseID(t *testing.T) {
	for _, id := range []string{"a:1#1.x", "[fd00::1]:7000#zz.0", "a.b.c:65535#" + "2gosa7pa2gw" + ".x"} {
		_, _, err := member.ParseID(id)
		if ok := !strings.Contains(id, "2gosa"); ok != (err == nil) { // 2^53 at most
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, id := range []string{"", "a:1", "a:1#", "a:1#1", "a:1#1.", "a:1#0.x", "a:1#01.x", "a:1#Z.x", "a:1#-1.x", "a:1#+1.x", "#1.x", "a#1.x", "a:0#1.x",
		"a:1#1.x y", "a:1#1.\n", "a b:1#1.x", "a:1#1.é", strings.Repeat("a", 290) + ":1#1.xxxxxxxxxx"} {
		if _, _, err := member.ParseID(id); !errors.Is(err, member.ErrFormat) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

// TestAnswers: what Redis holds may come from anybody.
func TestAnswers(t *testing.T) {
	one := []any{"a:1#1.x", `{"v":1,"weight":1,"link":[0,0]}`}
	for _, tt := range []struct {
		reply  any
		n, bad int
		ok     bool
	}{
		{[]any{"7.ab", int64(10)}, 0, 0, true},
		{[]any{"7.ab", int64(-10)}, 0, 0, true},
		{[]any{"7.ab", int64(1) << 62, one}, 1, 0, true},
		{[]any{"7.ab", int64(10), []any{}}, 0, 0, true},
		{[]any{"7.ab", int64(10), append([]any{"b:2#zz", "{}", int64(3), nil}, one...)}, 1, 2, true},
		{[]any{"7.ab", int64(10), one[:1]}, 0, 0, false},
		{[]any{"7.ab", int64(10), "x"}, 0, 0, false},
		{[]any{"7.ab", int64(10), make([]any, 2*member.MaxMembers+2)}, 0, 0, false},
		{[]any{"7.ab", "10"}, 0, 0, false},
		{[]any{"7", int64(10)}, 0, 0, false},
		{[]any{"-7.ab", int64(10)}, 0, 0, false},
		{[]any{nil, int64(10)}, 0, 0, false},
		{[]any{"7.ab"}, 0, 0, false},
		{nil, 0, 0, false},
		{"7.ab", 0, 0, false},
	} {
		n, bad, err := member.DecodeView(tt.reply)
		if n != tt.n || bad != tt.bad || (err == nil) != tt.ok || err != nil && !errors.Is(err, member.ErrFormat) {
			t.Errorf("%.60v: %d members, %d strange, %v", tt.reply, n, bad, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("10.0.0.1:7000#1z.ab2c", `{"v":1,"weight":100,"draining":true,"version":"1.0","url":"u","link":[1,2],"formats":{"link":2}}`)
	f.Add("[::1]:1#1.x", `{"v":1,"weight":1,"link":[0]}`)
	f.Fuzz(func(t *testing.T, id, rec string) {
		m, err := member.Decode(id, rec)
		if err != nil {
			if !errors.Is(err, member.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		if p := m.Process(); p < 1 || p >= 1<<24 {
			t.Fatal(p)
		}
		again, err := m.Encode()
		if err != nil {
			return // escaping made it longer than a record may be
		}
		if back, err := member.Decode(id, again); err != nil || !reflect.DeepEqual(back, m) && len(m.Formats) > 0 {
			t.Fatalf("%+v came back as %+v, %v", m, back, err)
		}
	})
}

func TestView(t *testing.T) {
	a := member.Member{ID: "a:1#1.x", Address: "a:1", Generation: 1, Weight: 100, Meta: member.Meta{Formats: map[string]int{"store": 2}}}
	b := member.Member{ID: "b:1#2.x", Address: "b:1", Generation: 2, Weight: 100, Meta: member.Meta{Formats: map[string]int{"store": 1, "link": 1}}}
	v := member.NewView([]member.Member{b, a})
	if v.Members[0].ID != a.ID || v.Format("store") != 1 || v.Format("link") != 0 {
		t.Fatalf("%+v", v)
	}
	for _, m := range []member.Member{a, b} {
		if got, ok := v.Member(m.ID); !ok || got.ID != m.ID {
			t.Fatalf("%+v", got)
		}
	}
	for _, id := range []string{"", "a:1#1.y", "a:1#2.x", "c:1#1.x"} {
		if _, ok := v.Member(id); ok {
			t.Errorf("%q is a member", id)
		}
	}
	// The same addresses, the same ring: a node that starts again gets its rooms back.
	again := b
	again.ID, again.Generation = "b:1#3.x", 3
	next := v.Next([]member.Member{a, b, again})
	if next.Ring != v.Ring {
		t.Fatal("another generation made another ring")
	}
	a.Draining, again.Draining = true, true
	none := next.Next([]member.Member{a, b, again})
	if _, ok := none.Owner("chat", "lobby"); ok {
		t.Fatal("a draining node, or one whose address has a newer one, is in the ring")
	}
	if (&member.View{}).Format("x") != 0 {
		t.Fatal("a fleet of nobody reads a format")
	}
}

func BenchmarkCertain(b *testing.B) {
	m := join(b, options(newServer(b).open()))
	b.ReportAllocs()
	for b.Loop() {
		if !m.Certain() {
			b.Fatal("lost")
		}
	}
}
