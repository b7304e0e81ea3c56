package server

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
)

// What one address may ask about presence: enough for a backend's page of friends.
const (
	asksPerSecond = 50
	asksBurst     = 200
)

// devTokenLife is how long a token of the dev endpoint is good for.
const devTokenLife = 12 * time.Hour

// admit lets a request through the door. The gateway has checked its limits and names before.
func (s *Server) admit(_ context.Context, r *http.Request, _ abi.KindOptions, _ string) (gateway.Identity, error) {
	switch d := s.decide(r).(type) {
	case *admission.Allow:
		return gateway.Identity{User: d.Identity.User, Claims: d.Identity.Claims, Expires: d.Identity.Expires}, nil
	case *admission.Refuse:
		return gateway.Identity{}, &gateway.Refusal{Code: d.Code, Detail: d.Detail}
	}
	return gateway.Identity{}, &gateway.Refusal{Code: abi.CodeUnauthenticated}
}

func (s *Server) decide(r *http.Request) admission.Decision {
	return s.door.Decide(&admission.Request{
		Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host,
		Headers: admission.HeadersOf(r.Header), Client: s.client(r), Now: time.Now(),
	}, admission.Facts{Kind: s.modules.Kind, Loopback: s.loopback()})
}

func (s *Server) client(r *http.Request) admission.Client {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return admission.Client{}
	}
	return admission.ClientOf(remote.Addr(), r.TLS != nil, admission.HeadersOf(r.Header), s.o.TrustedProxies)
}

// loopback reports whether clients can only be on this machine.
func (s *Server) loopback() bool {
	a, err := netip.ParseAddrPort(s.listener.Addr().String())
	return err == nil && a.Addr().IsLoopback()
}

// userPresence answers GET /v1/presence/{user} with the rooms that a user is connected to.
func (s *Server) userPresence(w http.ResponseWriter, r *http.Request) {
	if retry, ok := s.asks.Take(s.client(r).Key(), time.Now()); !ok {
		w.Header().Set("Retry-After", strconv.Itoa(int(retry/time.Second)+1))
		writeError(w, abi.CodeRateLimited, "")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch d := s.decide(r).(type) {
	case *admission.Allow:
		u, err := s.presence.Of(r.Context(), d.Route.User)
		if err != nil {
			writeError(w, abi.CodeStorageUnavailable, "")
			return
		}
		writeJSON(w, http.StatusOK, u)
	case *admission.Refuse:
		writeError(w, d.Code, d.Detail)
	default:
		writeError(w, abi.CodeUnauthenticated, "")
	}
}

// devToken answers GET /v1/dev/token?user=ann on a dev server.
func (s *Server) devToken(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch d := s.decide(r).(type) {
	case *admission.Allow:
		now := time.Now()
		token, err := admission.Mint(s.o.DevSecret, admission.Claims{
			User: d.Route.User, IssuedAt: now, Expires: now.Add(devTokenLife),
			Audience: s.o.Policy.Audience, Issuer: s.o.Policy.Issuer,
		})
		if err != nil {
			writeError(w, abi.CodeInvalid, "")
			return
		}
		writeJSON(w, http.StatusOK, map[string]string{"token": token})
	case *admission.Refuse:
		writeError(w, d.Code, d.Detail)
	default:
		writeError(w, abi.CodeNotFound, "")
	}
}
