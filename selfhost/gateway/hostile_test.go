package gateway

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

const (
	fin  = 0x80
	rsv1 = 0x40
)

// TestHostileFrames sends what no honest client sends. Each gets its code, the room is told
// the same, and another client of the same gateway notices nothing.
func TestHostileFrames(t *testing.T) {
	small := abi.KindOptions{Name: "small", MessageBytes: 100, MessagesPerSecond: 1, MessageBurst: 3}
	many := func(n int, b []byte) []byte { return bytes.Repeat(b, n) }
	concat := func(list ...[]byte) []byte { return bytes.Join(list, nil) }
	tests := []struct {
		name string
		send []byte
		code abi.Code
		// clean: the client's close frame could be read after what it did wrong.
		clean bool
	}{
		{"frame one byte too long", frame(fin|opText, many(101, []byte("x"))), abi.CodeTooBig, true},
		{"fragments one byte too long", concat(frame(opText, many(60, []byte("x"))), frame(fin, many(41, []byte("x")))), abi.CodeTooBig, true},
		{"invalid UTF-8", frame(fin|opText, []byte("ab\xff")), abi.CodeInvalidUTF8, true},
		{"UTF-8 cut short", frame(fin|opText, []byte("ab\xe2\x82")), abi.CodeInvalidUTF8, true},
		{"UTF-16 surrogate", frame(fin|opText, []byte("\xed\xa0\x80")), abi.CodeInvalidUTF8, true},
		{"too fast", many(4, frame(fin|opBinary, []byte("x"))), abi.CodeRateLimited, true},
		{"flood of pings", many(controlBurst+1, frame(fin|opPing, nil)), abi.CodeRateLimited, true},
		{"flood of pongs", many(controlBurst+1, frame(fin|0xA, nil)), abi.CodeRateLimited, true},
		{"no mask", []byte{fin | opText, 1, 'x'}, abi.CodeProtocolError, false},
		{"reserved bit", frame(fin|rsv1|opText, []byte("x")), abi.CodeProtocolError, false},
		{"reserved opcode", frame(fin|0x3, []byte("x")), abi.CodeProtocolError, false},
		{"reserved control opcode", frame(fin|0xB, nil), abi.CodeProtocolError, false},
		{"control frame in fragments", frame(opPing, []byte("x")), abi.CodeProtocolError, false},
		{"control frame too long", frame(fin|opPing, many(126, []byte("x"))), abi.CodeProtocolError, false},
		{"continuation of nothing", frame(fin, []byte("x")), abi.CodeProtocolError, false},
		{"message inside a message", concat(frame(opText, []byte("x")), frame(fin|opText, []byte("y"))), abi.CodeProtocolError, false},
		{"negative length", []byte{fin | opBinary, 0x80 | 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, abi.CodeProtocolError, false},
		{"empty fragments without end", concat(frame(opText, []byte("x")), many(2000, frame(0, nil))), abi.CodeProtocolError, false},
		{"close frame of one byte", frame(fin|opClose, []byte{3}), abi.CodeProtocolError, false},
		{"close code that may not travel", closeFrame(abi.CodeAbnormal, ""), abi.CodeProtocolError, false},
	}
	// The clock of the buckets stands still: on a slow machine they would fill again meanwhile.
	still := func() time.Duration { return time.Second }
	srv := start(t, setup{kinds: []abi.KindOptions{small}, options: Options{clock: still}})
	w := srv.witness()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := &server{t: t, g: srv.g, rooms: srv.rooms, http: srv.http}
			r, _ := srv.openRaw("/v1/rooms/small/room")
			r.write(tt.send)
			reason := r.expectClose(tt.code)
			if !strings.HasPrefix(reason, tt.code.String()) {
				t.Errorf("reason %q does not start with the code's name", reason)
			}
			if hint := abi.RetryHint(reason); (tt.code == abi.CodeRateLimited) != (hint > 0) {
				t.Errorf("reason %q: hint %v", reason, hint)
			}
			if tt.clean {
				r.write(closeFrame(tt.code, ""))
			} else if err := r.nc.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			srv.closedAs(tt.code, tt.clean)
			r.expectEnd()
			w.check()
		})
	}
	w.check()
}

// TestLimitsAreInclusive stays exactly at the limits that the test above crosses.
func TestLimitsAreInclusive(t *testing.T) {
	small := abi.KindOptions{Name: "small", MessageBytes: 100, MessagesPerSecond: 1, MessageBurst: 3}
	srv := start(t, setup{kinds: []abi.KindOptions{small}})
	r, _ := srv.openRaw("/v1/rooms/small/room")
	long := strings.Repeat("x", 100)
	r.write(frame(fin|opText, []byte(long)))
	r.expect(opText, long)
	r.write(frame(opBinary, []byte(long[:60])))
	r.write(frame(fin, []byte(long[60:])))
	r.expect(opBinary, long)
	r.write(frame(fin|opBinary, nil))
	r.expect(opBinary, "")
	for range controlBurst {
		r.write(frame(fin|opPing, []byte("p")))
		r.expect(0xA, "p")
	}
	r.write(closeFrame(abi.CodeNormal, ""))
	r.expectClose(abi.CodeNormal)
	srv.closedAs(abi.CodeNormal, true)
}

// TestHugeLengthIsNotAllocated announces four exabytes: what counts is what comes.
func TestHugeLengthIsNotAllocated(t *testing.T) {
	srv := start(t, setup{})
	w := srv.witness()
	r, _ := srv.openRaw("/v1/rooms/echo/room")
	r.write([]byte{fin | opBinary, 0x80 | 127, 0x3f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4})
	r.write(make([]byte, abi.DefaultMessageBytes+1))
	r.expectClose(abi.CodeTooBig)
	w.check()
	_ = r.nc.Close()
	srv.closedAs(abi.CodeTooBig, false)
}

// TestDribble sends a message byte by byte, in TCP segments and in fragments, with pings in
// between: slow and strange, and allowed.
func TestDribble(t *testing.T) {
	srv := start(t, setup{kinds: []abi.KindOptions{{Name: "small", MessageBytes: 300}}})
	w := srv.witness()
	r, _ := srv.openRaw("/v1/rooms/small/room")
	text := "häppchenweise"
	for _, b := range frame(fin|opText, []byte(text)) {
		r.write([]byte{b})
	}
	r.expect(opText, text)

	long := strings.Repeat("0123456789", 30)
	for i := range len(long) {
		first := byte(0)
		if i == 0 {
			first = opText
		}
		if i == len(long)-1 {
			first |= fin
		}
		r.write(frame(first, []byte(long[i:i+1])))
		if i%60 == 30 {
			r.write(frame(fin|opPing, []byte("still here")))
			r.expect(0xA, "still here")
		}
	}
	r.expect(opText, long)
	w.check()
}

// TestGarbage sends random bytes in place of frames.
func TestGarbage(t *testing.T) {
	srv := start(t, setup{})
	w := srv.witness()
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			srv := &server{t: t, g: srv.g, rooms: srv.rooms, http: srv.http}
			rng := rand.New(rand.NewPCG(seed, 1))
			r, _ := srv.openRaw("/v1/rooms/echo/room")
			junk := make([]byte, 1+rng.IntN(3000))
			for i := range junk {
				junk[i] = byte(rng.Uint32())
			}
			r.write(junk)
			_ = r.nc.Close()
			c := receive(t, srv.rooms.closed)
			switch c.code {
			case abi.CodeProtocolError, abi.CodeAbnormal, abi.CodeInvalidUTF8, abi.CodeRateLimited, abi.CodeTooBig:
			default:
				t.Errorf("ended as %v", c.code)
			}
		})
	}
	w.check()
}
