package gateway

import (
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

var pingFrame = appendFrame(nil, opPing, nil)

// keepTime is the one goroutine for the heartbeats of all sockets. Times are counted in
// beats: reading a message then costs no look at the clock, and a socket no timer.
func (g *Gateway) keepTime(beat time.Duration) {
	defer close(g.stopped)
	beats := g.opts.beats
	if beats == nil {
		t := time.NewTicker(beat)
		defer t.Stop()
		beats = t.C
	}
	for {
		select {
		case <-g.stop:
			return
		case <-beats:
			g.tick()
		}
	}
}

// tick is one beat.
func (g *Gateway) tick() {
	now := g.beat.Add(1)
	g.beating = g.open(g.beating[:0])
	for _, s := range g.beating {
		g.check(s, now)
	}
	clear(g.beating)
	if now%64 == 0 {
		g.addresses.sweep(g.now())
	}
}

// check asks a silent client for a sign of life and ends it after two and a half
// heartbeats of silence. Only whole messages and control frames are signs of life: a
// client that sends one byte now and then is as good as gone.
func (g *Gateway) check(s *Socket, now uint32) {
	if s.ending.Load() {
		return
	}
	if h := s.protocol.helloBeats; h > 0 && !s.spoke.Load() && now-s.since > h {
		s.close(abi.CodeHelloTimeout, abi.CloseReason(abi.CodeHelloTimeout, time.Second, ""))
		return
	}
	if s.expires != 0 && now >= s.expires {
		s.close(abi.CodeTokenExpired, abi.CloseReason(abi.CodeTokenExpired, 0, ""))
		return
	}
	if s.parked.Load() {
		return
	}
	silent := now - s.heard.Load()
	switch {
	case silent > g.beatsToGiveUp:
		g.stats.timeouts.Add(1)
		s.abort(abi.CodeHeartbeatTimeout, abi.CloseReason(abi.CodeHeartbeatTimeout, time.Second, ""))
	case silent >= g.beatsToPing && now-s.pinged.Load() >= g.beatsToPing:
		s.pinged.Store(now)
		g.stats.pings.Add(1)
		s.sendControl(pingFrame)
	}
}
