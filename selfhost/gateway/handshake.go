package gateway

import (
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// ServeHTTP takes a WebSocket upgrade or an HTTP request to a room.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	addr := clientAddress(r, g.opts.TrustedProxies)
	// Before anything else, and as cheap as can be: an upgrade is not completed for it.
	if refusal := g.addresses.attempt(share(addr), g.now()); refusal != nil {
		g.refuseHTTP(w, refusal)
		return
	}
	if !wantsUpgrade(r) {
		g.serveRequest(w, r, addr)
		return
	}
	if !validUpgrade(r) {
		w.Header().Set("Sec-WebSocket-Version", "13")
		g.refuseHTTP(w, &Refusal{Code: abi.CodeProtocolError, Detail: "not a WebSocket handshake of RFC 6455"})
		return
	}
	g.serveUpgrade(w, r, addr)
}

// serveUpgrade goes through admission in the order of the package's documentation.
func (g *Gateway) serveUpgrade(w http.ResponseWriter, r *http.Request, addr netip.Addr) {
	offer := offered(r.Header)
	kindName, room, sub, err := parsePath(r.URL.EscapedPath())
	if err == nil && sub != "" {
		err = abi.CodeNotFound
	}
	if err != nil {
		g.refuseUpgrade(w, r, addr, offer, refusalOf(err))
		return
	}
	if refusal := g.drainRefusal(); refusal != nil {
		g.refuseUpgrade(w, r, addr, offer, refusal)
		return
	}
	place := share(addr)
	if refusal := g.addresses.openSocket(place); refusal != nil {
		g.refuseUpgradeCounted(w, r, place, offer, refusal)
		return
	}
	kind, protocol, identity, query, err := g.admit(r, kindName, room, offer)
	if err != nil {
		g.refusePlaced(w, r, place, offer, refusalOf(err))
		return
	}
	s, err := g.upgrade(w, r, place, answered(protocol, offer))
	if err != nil {
		g.addresses.closeSocket(place)
		return // coder has answered
	}
	g.connect(r, s, kind, room, protocol, identity, query, addr)
}

// admit is what stands between the limits and the upgrade.
func (g *Gateway) admit(r *http.Request, kindName, room string, offer []string) (kind abi.KindOptions, protocol string, id Identity, query string, err error) {
	kind, ok := g.rooms.Kind(kindName)
	if !ok {
		return kind, "", id, "", abi.CodeUnknownKind
	}
	if protocol, ok = negotiate(kind.Protocols, offer); !ok {
		return kind, "", id, "", abi.CodeUnknownProtocol
	}
	if query, err = publicQuery(r.URL.RawQuery); err != nil {
		return kind, "", id, "", err
	}
	if id, err = g.opts.Admitter.Admit(r.Context(), r, kind, room); err != nil {
		return kind, "", id, "", err
	}
	return kind, protocol, id, query, checkIdentity(id)
}

// checkIdentity holds an Admitter to what a connect event can carry.
func checkIdentity(id Identity) error {
	if len(id.User) > abi.MaxUser || !utf8.ValidString(id.User) || len(id.Claims) > abi.MaxClaims {
		return &Refusal{Code: abi.CodeTooLarge, Detail: "identity"}
	}
	return nil
}

// upgrade completes the handshake. The socket is not registered and has no reader yet.
func (g *Gateway) upgrade(w http.ResponseWriter, r *http.Request, place netip.Prefix, protocol string) (*Socket, error) {
	s := &Socket{g: g, address: place, protocol: g.plain, maxQueue: 1 << 12}
	s.users.Store(2)
	// coder compares without case; we have chosen already.
	r.Header.Del("Sec-WebSocket-Protocol")
	var chosen []string
	if protocol != "" {
		r.Header.Set("Sec-WebSocket-Protocol", protocol)
		chosen = []string{protocol}
	}
	ws, err := websocket.Accept(&hijacker{ResponseWriter: w, s: s}, r, &websocket.AcceptOptions{
		Subprotocols:       chosen,
		InsecureSkipVerify: true, // the origin is the Admitter's business
		OnPingReceived:     s.onPing,
		OnPongReceived:     s.onPong,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(-1) // ours closes with the table's reason and lets the client answer
	// coder has put a reader in between for bytes that net/http had read; ours are in left.
	s.reader.br.Reset(s)
	s.ws = ws
	return s, nil
}

// connect makes the socket a connection of a room and starts to read.
func (g *Gateway) connect(r *http.Request, s *Socket, kind abi.KindOptions, room, protocol string, id Identity, query string, addr netip.Addr) {
	kind = kind.WithDefaults()
	if p, ok := g.protocols[protocol]; ok {
		s.protocol = p
	}
	s.maxMessage, s.maxQueue, s.overflow = kind.MessageBytes, kind.QueueBytes, kind.Overflow
	s.rate = float64(kind.MessagesPerSecond) * s.protocol.factor
	s.burst = float64(kind.MessageBurst) * s.protocol.factor
	s.since = g.beat.Load()
	if !id.Expires.IsZero() {
		s.expires = s.since + max(beatsIn(min(time.Until(id.Expires), maxCredential), g.beatEvery), 1)
	}
	s.heard.Store(s.since)
	s.pinged.Store(s.since)
	s.conn = Connection{
		ID: g.NextID(), Kind: kind.Name, Room: room, User: id.User,
		Protocol: protocol, Address: addr.String(), socket: s,
	}
	ev := &abi.ConnectEvent{
		Connection: abi.Connection{
			ID: s.conn.ID, User: id.User, Claims: id.Claims, Protocol: protocol,
			Since: uint64(time.Now().UnixMilli()),
		},
		Query: query, Address: s.conn.Address,
	}
	if !g.add(s, false) {
		g.add(s, true)
		g.sendAway(s, restarting(0))
		return
	}
	g.stats.connections.Add(1)
	if err := g.rooms.Connect(r.Context(), &s.conn, ev); err != nil {
		g.stats.connections.Add(-1)
		g.sendAway(s, refusalOf(err))
		return
	}
	g.stats.connected.Add(1)
	go s.run()
}

// maxCredential bounds how long a connection lives on one credential: beats are 32 bits.
const maxCredential = 30 * 24 * time.Hour

// wantsUpgrade reports whether the client asks for a WebSocket at all.
func wantsUpgrade(r *http.Request) bool {
	return hasToken(r.Header, "Upgrade", "websocket")
}

// validUpgrade checks the handshake's syntax (RFC 6455, section 4.2.1), so that what
// follows can count on Accept.
func validUpgrade(r *http.Request) bool {
	keys := r.Header.Values("Sec-WebSocket-Key")
	if r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1 || len(keys) != 1 ||
		!hasToken(r.Header, "Connection", "upgrade") || r.Header.Get("Sec-WebSocket-Version") != "13" {
		return false
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0]))
	return err == nil && len(key) == 16
}

func hasToken(h http.Header, field, token string) bool {
	for _, line := range h.Values(field) {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
	}
	return false
}

// bearerPrefix starts an offered subprotocol that is a credential. It is never agreed on,
// so the answer does not repeat it.
const bearerPrefix = "bearer."

// offered returns the subprotocols that the client offers, without credentials.
func offered(h http.Header) []string {
	var list []string
	for _, line := range h.Values("Sec-WebSocket-Protocol") {
		for part := range strings.SplitSeq(line, ",") {
			if p := strings.TrimSpace(part); p != "" && !isBearer(p) {
				list = append(list, p)
			}
		}
	}
	return list
}

func isBearer(p string) bool {
	return len(p) >= len(bearerPrefix) && strings.EqualFold(p[:len(bearerPrefix)], bearerPrefix)
}

// rawProtocol is what a browser may offer to a kind of raw frames beside its credential, so
// that there is something to answer with: a browser drops a socket when all that it offered
// goes unanswered. The room sees no subprotocol.
const rawProtocol = "oriel.raw"

// answered is the subprotocol of the handshake's answer.
func answered(protocol string, offer []string) string {
	if protocol == "" && slices.Contains(offer, rawProtocol) {
		return rawProtocol
	}
	return protocol
}

// negotiate chooses the kind's most preferred protocol among those offered. A kind of raw
// frames has none and takes every client.
func negotiate(spoken, offer []string) (string, bool) {
	for _, p := range spoken {
		for _, o := range offer {
			if p == o {
				return p, true
			}
		}
	}
	return "", len(spoken) == 0
}
