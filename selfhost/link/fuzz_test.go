package link

import (
	"bytes"
	"testing"
)

func FuzzHello(f *testing.F) {
	f.Add((&hello{min: 1, max: 3, cluster: "x", from: "127.0.0.1:1#2", to: "127.0.0.1:2#1"}).append(nil))
	f.Add((&hello{min: 1, max: 1, from: "a", refusal: "no"}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHello(b)
		if err != nil {
			return
		}
		if again := h.append(nil); !bytes.HasPrefix(b, again) {
			t.Errorf("%x reads as %+v, which is %x", b, h, again)
		}
	})
}

func TestAgree(t *testing.T) {
	for _, c := range []struct{ min1, max1, min2, max2, want uint64 }{
		{1, 1, 1, 1, 1}, {1, 2, 1, 1, 1}, {1, 1, 1, 3, 1}, {1, 3, 2, 4, 3}, {1, 1, 2, 2, 0}, {3, 4, 1, 2, 0},
	} {
		if got := agree(hello{min: c.min1, max: c.max1}, hello{min: c.min2, max: c.max2}); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
