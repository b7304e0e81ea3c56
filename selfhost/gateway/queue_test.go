package gateway

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestQueueReplacesInPlace checks the rule of conflation: the newer frame takes the place
// of the older one, unless that one has begun to leave.
func TestQueueReplacesInPlace(t *testing.T) {
	var q queue
	big := func(c string) []byte { return []byte(strings.Repeat(c, smallFrame+1)) }
	q.push(big("a"), "")
	q.push(big("b"), "k")
	q.push(big("c"), "")
	q.push(big("d"), "other")
	if n, ok := q.waiting("k"); !ok || n != smallFrame+1 {
		t.Fatalf("waiting = %d, %v", n, ok)
	}
	q.replace("k", []byte("B"))
	want := string(big("a")) + "B" + string(big("c")) + string(big("d"))
	if got := string(bytes.Join(q.vector(nil, 9), nil)); got != want || q.bytes != len(want) {
		t.Fatalf("the newer frame is not in the older one's place: %d bytes", q.bytes)
	}
	q.consume(smallFrame + 1 + 1 + 1) // a, B, and one byte of c
	if _, ok := q.waiting("k"); ok {
		t.Error("a frame that has left can be replaced")
	}
	q.consume(smallFrame + 1) // the rest of c, and one byte of d
	if _, ok := q.waiting("other"); ok {
		t.Error("a frame that has begun to leave can be replaced")
	}
	q.consume(q.bytes)
	if q.entries != nil || q.keys != nil || q.bytes != 0 {
		t.Error("an empty queue keeps memory")
	}
}

// TestQueueKeyBound goes one past the number of keys that one queue keeps.
func TestQueueKeyBound(t *testing.T) {
	var q queue
	for i := range maxKeys + 1 {
		q.push([]byte("xx"), fmt.Sprint(i))
	}
	if _, ok := q.waiting(fmt.Sprint(maxKeys - 1)); !ok {
		t.Error("the last key within the bound is not kept")
	}
	if _, ok := q.waiting(fmt.Sprint(maxKeys)); ok {
		t.Error("one key beyond the bound is kept")
	}
	if q.bytes != 2*(maxKeys+1) {
		t.Errorf("%d bytes wait", q.bytes)
	}
}

// TestQueueSmallFramesShareMemory keeps the overhead of a flood of small frames bounded.
func TestQueueSmallFramesShareMemory(t *testing.T) {
	var q queue
	for range 100_000 {
		q.push([]byte{0x81, 0}, "")
	}
	if n := len(q.entries); n > 200_000/maxOwn+1 {
		t.Errorf("100,000 frames of 2 bytes take %d entries", n)
	}
}

// FuzzQueue compares the queue with a plain list of bytes under any sequence of calls.
func FuzzQueue(f *testing.F) {
	f.Add([]byte{0, 5, 1, 7, 2, 3, 3, 9, 4, 0, 5, 1})
	f.Add(bytes.Repeat([]byte{1, 200, 2, 90, 3, 255, 0, 255}, 40))
	f.Fuzz(func(t *testing.T, ops []byte) {
		type piece struct {
			b     []byte
			key   string
			begun bool
		}
		var (
			q     queue
			model []piece
			fill  byte
		)
		size := func() (n int) {
			for _, p := range model {
				n += len(p.b)
			}
			return n
		}
		consume := func(n int) {
			for n > 0 {
				p := &model[0]
				p.begun = true
				if n < len(p.b) {
					p.b = p.b[n:]
					return
				}
				n -= len(p.b)
				model = model[1:]
			}
		}
		for i := 0; i+1 < len(ops); i += 2 {
			n := int(ops[i+1])*3 + 1
			fill++
			switch b := bytes.Repeat([]byte{fill}, n); ops[i] % 6 {
			case 0:
				q.push(b, "")
				model = append(model, piece{b: b})
			case 1, 2:
				key := fmt.Sprint(ops[i+1] % 4)
				at := -1
				for j, p := range model {
					if p.key == key && !p.begun {
						at = j
					}
				}
				old, ok := q.waiting(key)
				if ok != (at >= 0) || ok && old != len(model[at].b) {
					t.Fatalf("waiting(%s) = %d, %v, want %d", key, old, ok, at)
				}
				if ok {
					q.replace(key, b)
					model[at].b = b
				} else {
					q.push(b, key)
					model = append(model, piece{b: b, key: key})
				}
			case 3:
				n = min(n, q.bytes)
				q.consume(n)
				consume(n)
			case 4:
				// What is being written cannot be replaced, even before it has left.
				got := q.copyTo(make([]byte, 0, n))
				rest := len(got)
				for j := range model {
					if rest <= 0 {
						break
					}
					model[j].begun = true
					rest -= len(model[j].b)
				}
				// Small frames share entries: those beside a begun one count as begun too.
				n = len(got)
				q.consume(n)
				consume(n)
			case 5:
				if q.trim(); q.bytes > size() {
					t.Fatalf("trim leaves %d of %d bytes", q.bytes, size())
				}
				// It may keep small frames that share an entry with a begun one.
				for keep := q.bytes; len(model) > 0 && size() > keep; {
					model = model[:len(model)-1]
				}
			}
			if q.bytes != size() {
				t.Fatalf("%d bytes wait, want %d", q.bytes, size())
			}
		}
		var want []byte
		for _, p := range model {
			want = append(want, p.b...)
		}
		if got := bytes.Join(q.vector(nil, len(ops)+1), nil); !bytes.Equal(got, want) {
			t.Fatalf("%d bytes wait, and not those that should", len(got))
		}
		if q.consume(q.bytes); q.bytes != 0 || q.entries != nil {
			t.Fatal("not empty in the end")
		}
	})
}
