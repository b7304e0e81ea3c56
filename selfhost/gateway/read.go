package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

const (
	// controlRate and controlBurst bound the pings, pongs and automatic requests of one
	// client, per second. Each costs us an answer; an honest client sends one in many seconds.
	controlRate  = 10
	controlBurst = 50
	// brokenLinger is how long we wait for a client that broke the protocol to take our
	// close frame. What it sends meanwhile cannot be parsed any more.
	brokenLinger = time.Second
)

var messageBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// maxPooled is the largest buffer that goes back into the pool.
const maxPooled = 128 << 10

// run is the reader's goroutine: from the upgrade to the end of the socket.
func (s *Socket) run() {
	err := s.readMessages()
	code, reason, clean := s.outcome(err)
	s.g.stats.connections.Add(-1)
	s.g.rooms.Closed(&s.conn, code, reason, clean)
	s.release(err)
}

// release waits until the client has taken our close frame, as far as it may still do
// so, and gives the socket back to coder and the system.
func (s *Socket) release(err error) {
	if websocket.CloseStatus(err) == -1 {
		s.drain()
	}
	_ = s.ws.CloseNow() // its error says that it was closed already
	s.leave()
}

// readMessages reads until coder reports an error; after the socket has begun to
// close it goes on, because the answer to our close frame comes behind whatever the
// client had sent.
func (s *Socket) readMessages() error {
	for {
		s.reader.message, s.reader.within, s.reader.bounded = 0, false, !s.ending.Load()
		// The background context: one that can end costs a context.AfterFunc per frame.
		typ, r, err := s.ws.Reader(context.Background())
		if err != nil {
			return err
		}
		s.reader.within = true
		if !s.ending.Load() {
			err = s.readMessage(typ, r)
			var refusal *Refusal
			switch {
			case err == nil:
				continue
			case errors.As(err, &refusal):
				s.close(refusal.Code, refusal.reason())
			default:
				return err
			}
		}
		if err := s.discard(r); err != nil {
			return err
		}
	}
}

// readMessage reads one message and hands it over. A *Refusal is what the client did
// wrong; any other error is the end of the stream.
func (s *Socket) readMessage(typ websocket.MessageType, r io.Reader) error {
	p := messageBuffers.Get().(*[]byte)
	b, err := readUpTo((*p)[:0], r, s.maxMessage)
	if cap(b) <= maxPooled {
		*p = b[:0]
	}
	defer messageBuffers.Put(p)
	switch {
	case errors.Is(err, errTooBig):
		return &Refusal{Code: abi.CodeTooBig, Detail: "more than " + strconv.Itoa(s.maxMessage) + " bytes"}
	case err != nil:
		return err
	}
	s.heard.Store(s.g.beat.Load())
	enc := abi.Binary
	if typ == websocket.MessageText {
		// coder does not look at it. RFC 6455, section 8.1: the connection must fail.
		if enc = abi.Text; !utf8.Valid(b) {
			return &Refusal{Code: abi.CodeInvalidUTF8}
		}
	}
	if p := s.protocol; p.request != nil && enc == p.encoding && bytes.Equal(b, p.request) {
		if !s.takeControl() {
			return &Refusal{Code: abi.CodeRateLimited, Retry: defaultRetry(abi.CodeRateLimited)}
		}
		s.g.stats.autoResponses.Add(1)
		s.sendControl(p.response)
		return nil
	}
	if wait, ok := s.reader.messages.take(s.g.now(), s.rate, s.burst); !ok {
		return &Refusal{Code: abi.CodeRateLimited, Retry: max(wait, defaultRetry(abi.CodeRateLimited))}
	}
	s.g.stats.messagesIn.Add(1)
	s.g.stats.bytesIn.Add(uint64(len(b)))
	return s.deliver(enc, bytes.Clone(b))
}

// deliver hands one message to the room. While the mailbox is full nothing is read, so that
// TCP slows the client down, for at most [Options.MailboxWait].
func (s *Socket) deliver(enc abi.Encoding, data []byte) error {
	if data == nil {
		data = []byte{}
	}
	c, rooms := &s.conn, s.g.rooms
	s.spoke.Store(true) // before the room can answer
	err := rooms.Message(c, enc, data)
	if errors.Is(err, ErrMailboxFull) {
		s.g.stats.waits.Add(1)
		s.parked.Store(true)
		timeout := time.NewTimer(s.g.opts.MailboxWait)
		defer timeout.Stop()
		ended := s.ended()
		for errors.Is(err, ErrMailboxFull) {
			select {
			case <-rooms.Space(c):
				err = rooms.Message(c, enc, data)
			case <-ended:
				err = nil // nobody waits for this message any more
			case <-timeout.C:
				err = &Refusal{Code: abi.CodeOverloaded, Retry: defaultRetry(abi.CodeOverloaded)}
			}
		}
		s.heard.Store(s.g.beat.Load())
		s.parked.Store(false)
	}
	if err != nil {
		return refusalOf(err)
	}
	return nil
}

// onPing and onPong are called by coder in the reader's goroutine; onPing says
// whether to answer.
func (s *Socket) onPing(context.Context, []byte) bool { return s.control() }

func (s *Socket) onPong(context.Context, []byte) { s.control() }

func (s *Socket) control() bool {
	s.heard.Store(s.g.beat.Load())
	if !s.reader.within {
		s.reader.message = 0
	}
	if s.takeControl() {
		return true
	}
	r := &Refusal{Code: abi.CodeRateLimited, Retry: defaultRetry(abi.CodeRateLimited), Detail: "control frames"}
	s.close(r.Code, r.reason())
	return false
}

func (s *Socket) takeControl() bool {
	_, ok := s.reader.controls.take(s.g.now(), controlRate, controlBurst)
	return ok
}

// readUpTo appends all of r to b, up to limit bytes.
func readUpTo(b []byte, r io.Reader, limit int) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, errTooBig
		case err == io.EOF:
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// discard reads a message to its end, so that what follows can be read. The read deadline
// that was set with the close frame bounds it.
func (s *Socket) discard(r io.Reader) error {
	s.reader.bounded = false
	p := messageBuffers.Get().(*[]byte)
	defer messageBuffers.Put(p)
	b := (*p)[:cap(*p)]
	for {
		_, err := r.Read(b)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// outcome says how the connection ended, and sends the close frame of a protocol error
// for which coder sends none, such as a frame without a mask.
func (s *Socket) outcome(err error) (code abi.Code, reason string, clean bool) {
	var peer websocket.CloseError
	answered := errors.As(err, &peer)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.code != 0:
		s.g.stats.closed(s.code)
		return s.code, s.reason, answered
	case answered:
		return abi.Code(peer.Code), abi.CutReason(strings.ToValidUTF8(peer.Reason, "\ufffd")), true
	case s.failed != 0:
		s.g.stats.closed(s.failed)
		return s.failed, s.failed.String(), false
	case s.state == 0 && !s.reader.broken:
		s.end(abi.CodeProtocolError, abi.CloseReason(abi.CodeProtocolError, 0, protocolDetail(err)), false)
		s.g.stats.closed(s.code)
		return s.code, s.reason, false
	}
	s.g.stats.closed(abi.CodeAbnormal)
	return abi.CodeAbnormal, "", false
}

// protocolDetail cuts the path of wrapped prefixes off coder's message.
func protocolDetail(err error) string {
	if errors.Is(err, errFragmented) {
		return "too many frames for one message"
	}
	s := err.Error()
	if i := strings.LastIndex(s, ": received "); i >= 0 {
		s = s[i+2:]
	}
	return s
}

// drain lets the client take what waits, with the close frame at its end, while its own
// bytes are thrown away: closing a descriptor with unread bytes resets the connection,
// and the close frame could be lost.
func (s *Socket) drain() {
	s.mu.Lock()
	by := s.closeBy
	done := s.state&stateClosing == 0 || s.state&(stateCut|stateReleased|stateShut) != 0
	if s.code == 0 || s.code == abi.CodeProtocolError {
		if limit := time.Now().Add(brokenLinger); limit.Before(by) {
			by = limit
		}
	}
	s.mu.Unlock()
	if done || s.nc.SetReadDeadline(by) != nil {
		return
	}
	p := messageBuffers.Get().(*[]byte)
	defer messageBuffers.Put(p)
	for b := (*p)[:cap(*p)]; ; {
		if _, err := s.nc.Read(b); err != nil {
			return
		}
	}
}
