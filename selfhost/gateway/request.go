package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// requestHeaders are the fields of an HTTP request that a room sees. Credentials and what
// belongs to the connection are not among them.
var requestHeaders = []string{"accept", "content-type", "idempotency-key"}

// connectionHeaders are fields of an answer that are the server's to set (RFC 9110,
// section 7.6.1, and framing), whatever a room says.
var connectionHeaders = map[string]bool{
	"connection": true, "content-length": true, "date": true, "keep-alive": true,
	"proxy-connection": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
}

// serveRequest runs an HTTP request to a room and writes the room's answer.
func (g *Gateway) serveRequest(w http.ResponseWriter, r *http.Request, addr netip.Addr) {
	place := share(addr)
	kindName, room, sub, err := parsePath(r.URL.EscapedPath())
	switch refusal := g.drainRefusal(); {
	case err != nil:
	case refusal != nil:
		err = refusal
	case reserved(r, sub):
		err = abi.CodeNotFound
	case len(r.Method) > abi.MaxMethod, r.Method == http.MethodConnect, r.Method == http.MethodTrace:
		err = abi.CodeMethodNotAllowed
	}
	if err != nil {
		g.refuseHTTP(w, refusalOf(err))
		return
	}
	if refusal := g.addresses.openRequest(place); refusal != nil {
		g.refuseHTTP(w, refusal)
		return
	}
	defer g.addresses.closeRequest(place)

	ctx, cancel := context.WithTimeout(r.Context(), g.opts.RequestTimeout)
	defer cancel()
	ev, err := g.requestEvent(ctx, w, r, kindName, room, sub)
	if err != nil {
		g.refuseHTTP(w, refusalOf(err))
		return
	}
	g.stats.requests.Add(1)
	answer, err := g.rooms.Request(ctx, kindName, room, ev)
	switch {
	case err == nil && answer != nil:
		writeAnswer(w, answer)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		g.refuseHTTP(w, &Refusal{Code: abi.CodeTimeout, Retry: time.Second})
	default:
		g.refuseHTTP(w, refusalOf(err))
	}
}

// requestEvent admits the client and reads its request.
func (g *Gateway) requestEvent(ctx context.Context, w http.ResponseWriter, r *http.Request, kindName, room, sub string) (*abi.RequestEvent, error) {
	kind, ok := g.rooms.Kind(kindName)
	if !ok {
		return nil, abi.CodeUnknownKind
	}
	query, err := publicQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	id, err := g.opts.Admitter.Admit(ctx, r, kind, room)
	if err != nil {
		return nil, err
	}
	if err := checkIdentity(id); err != nil {
		return nil, err
	}
	ev := &abi.RequestEvent{
		ID: g.NextID(), Method: r.Method, Path: sub, Query: query,
		User: id.User, Claims: id.Claims,
	}
	for _, name := range requestHeaders {
		value := strings.Join(r.Header.Values(name), ", ")
		if len(value) > abi.MaxHeader {
			return nil, &Refusal{Code: abi.CodeTooLarge, Detail: name}
		}
		if value != "" {
			ev.Headers = append(ev.Headers, abi.Header{Name: name, Value: value})
		}
	}
	ev.Body, err = g.readBody(w, r)
	return ev, err
}

// readBody reads at most abi.MaxBody bytes within the request's timeout.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > abi.MaxBody {
		return nil, &Refusal{Code: abi.CodeTooLarge, Detail: "body"}
	}
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	rc := http.NewResponseController(w)
	// Where the ResponseWriter has no deadlines, the server's ReadTimeout is what is left.
	_ = rc.SetReadDeadline(time.Now().Add(g.opts.RequestTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, abi.MaxBody))
	if err != nil {
		// What is left of the body is not worth reading. The deadline stays, because
		// net/http would try before it sends the answer.
		w.Header().Set("Connection", "close")
		var tooBig *http.MaxBytesError
		if errors.As(err, &tooBig) {
			return nil, &Refusal{Code: abi.CodeTooLarge, Detail: "body"}
		}
		return nil, &Refusal{Code: abi.CodeMalformed, Detail: "body cut short or too slow"}
	}
	// The server goes on reading during the handler, to notice a client that leaves.
	_ = rc.SetReadDeadline(time.Time{})
	return body, nil
}

// writeAnswer writes what a room answered. A room's answer is served from the page's own
// origin, so a browser must not guess that it is a page.
func writeAnswer(w http.ResponseWriter, a *abi.RespondEffect) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/octet-stream")
	set := make(map[string]bool, len(a.Headers))
	for _, f := range a.Headers {
		name := strings.ToLower(f.Name)
		switch {
		case connectionHeaders[name]:
		case set[name]:
			h.Add(name, f.Value)
		default:
			set[name] = true
			h.Set(name, f.Value)
		}
	}
	status := int(a.Status)
	if status < 200 || status > 599 {
		status = http.StatusBadGateway
	}
	w.WriteHeader(status)
	if len(a.Body) > 0 {
		_, _ = w.Write(a.Body) // fails only if the client has gone, or may have no body
	}
}
