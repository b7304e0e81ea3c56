package gateway

import (
	"encoding/json"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// refuseHTTP answers with the code's status and a small JSON body.
func (g *Gateway) refuseHTTP(w http.ResponseWriter, r *Refusal) {
	g.stats.refused(r.Code)
	WriteError(w, r)
}

// WriteError answers an HTTP request with what an error says: the status of its
// [abi.Code], and a body that scripts can read,
//
//	{"code":"rate_limited","message":"Too many messages in too short a time.","retry":1000}
//
// with the suggested delay in milliseconds, which Retry-After repeats in seconds. An
// error that carries no code is told as [abi.CodeInternal], without its text.
func WriteError(w http.ResponseWriter, err error) {
	r := refusalOf(err)
	info := r.Code.Info()
	body := struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Retry   int64  `json:"retry,omitempty"`
	}{info.Name, info.Text, r.Retry.Milliseconds()}
	if r.Detail != "" {
		body.Message += " (" + r.Detail + ")"
	}
	status := info.Status
	if status < 400 {
		status = http.StatusInternalServerError // a code that is no refusal
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(r.Retry.Seconds())), 10))
	}
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // fails only if the client has gone
}

const (
	// refuseTimeout bounds the closing handshake of a refused client.
	refuseTimeout = 2 * time.Second
	// maxRefusing bounds the sockets beyond the limits that are told why; above it the
	// answer is plain HTTP.
	maxRefusing = 256
)

// refuseUpgrade refuses a client that has no place yet.
func (g *Gateway) refuseUpgrade(w http.ResponseWriter, r *http.Request, addr netip.Addr, offer []string, refusal *Refusal) {
	place := share(addr)
	if g.addresses.openSocket(place) != nil {
		g.refuseUpgradeCounted(w, r, place, offer, refusal)
		return
	}
	g.refusePlaced(w, r, place, offer, refusal)
}

// refuseUpgradeCounted refuses a client for which there is no place: a few of those are
// told why in the way that browsers understand, the others by a status.
func (g *Gateway) refuseUpgradeCounted(w http.ResponseWriter, r *http.Request, place netip.Prefix, offer []string, refusal *Refusal) {
	if g.refusing.Add(1) > maxRefusing {
		g.refusing.Add(-1)
		g.refuseHTTP(w, refusal)
		return
	}
	defer g.refusing.Add(-1)
	g.addresses.forceSocket(place)
	g.refusePlaced(w, r, place, offer, refusal)
}

// refusePlaced completes the handshake and closes with the refusal. It returns when the
// client has answered, at the latest after refuseTimeout. A browser fails a handshake
// that agrees on none of the protocols it offered, and then shows no code: so
// the first of them is agreed on, for as long as it takes to say no.
func (g *Gateway) refusePlaced(w http.ResponseWriter, r *http.Request, place netip.Prefix, offer []string, refusal *Refusal) {
	protocol := ""
	if len(offer) > 0 {
		protocol = offer[0]
	}
	s, err := g.upgrade(w, r, place, protocol)
	if err != nil {
		g.addresses.closeSocket(place)
		return
	}
	if !g.add(s, true) {
		refusal = restarting(0)
	}
	g.sendAway(s, refusal)
}

// sendAway tells a client that is no connection why, and waits for its answer.
func (g *Gateway) sendAway(s *Socket, r *Refusal) {
	g.stats.refused(r.Code)
	s.mu.Lock()
	s.end(r.Code, r.reason(), false)
	s.closeBy = time.Now().Add(min(refuseTimeout, g.opts.CloseTimeout))
	_ = s.nc.SetReadDeadline(s.closeBy) // fails only on a socket that is closed
	s.mu.Unlock()
	s.release(s.readMessages())
}
