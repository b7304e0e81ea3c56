package server

import (
	"encoding/json"
	"net/http"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/selfhost/gateway"
	"github.com/oriel-rooms/oriel/selfhost/page"
)

// routes is what clients can reach.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(gateway.Prefix, s.gateway)
	mux.HandleFunc("/v1/dev/token", s.devToken)
	mux.HandleFunc("/v1/presence/", s.userPresence)
	mux.HandleFunc("/v1/users/", s.userNotify)
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) { writeError(w, abi.CodeNotFound, "") })
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("/", s.localOnly(page.Handler()))
	return mux
}

// operatorRoutes is what only operators can reach, on a listener of its own.
func (s *Server) operatorRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metricsHandler())
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	return mux
}

// localOnly keeps a dev server's page from names that are not this machine's, as the door does
// with everything else (DNS rebinding).
func (s *Server) localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.Policy.Dev && (!admission.LocalHost(r.Host) || r.Header.Get("X-Forwarded-For") != "") {
			writeError(w, abi.CodeForbidden, "a dev server answers on localhost only")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// healthz says that the process lives.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": s.o.Version})
}

// readyz says whether new clients should be sent here.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "draining"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that has left does not matter
}

func writeError(w http.ResponseWriter, code abi.Code, detail string) {
	info := code.Info()
	if detail == "" {
		detail = info.Text
	}
	writeJSON(w, info.Status, map[string]string{"code": info.Name, "message": detail})
}
