package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// userNotify answers POST /v1/users/{user}/notify?event={name}: it says the body to a user on all devices, and
// how many there were. The body is JSON, or nothing, or of the type application/octet-stream.
func (s *Server) userNotify(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch d := s.decide(r).(type) {
	case *admission.Allow:
		if d.Route.Target != admission.TargetUserNotify {
			writeError(w, abi.CodeNotFound, "")
			return
		}
		n, err := notification(w, r)
		var code abi.Code
		if errors.As(err, &code) {
			writeError(w, code, "")
			return
		}
		devices, err := s.scheduler.Notify(r.Context(), d.Route.User, n)
		if err != nil {
			writeError(w, abi.CodeStorageUnavailable, "")
			return
		}
		writeJSON(w, http.StatusOK, map[string]int{"devices": devices})
	case *admission.Refuse:
		writeError(w, d.Code, d.Detail)
	default:
		writeError(w, abi.CodeUnauthenticated, "")
	}
}

// notification reads what is to be said. The error is an [abi.Code].
func notification(w http.ResponseWriter, r *http.Request) (*abi.NotifiedEvent, error) {
	n := &abi.NotifiedEvent{Event: r.URL.Query().Get("event"), Encoding: abi.Text}
	if !abi.ValidNotification(n.Event) {
		return nil, abi.CodeInvalid
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, abi.MaxNotify))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, abi.CodeTooLarge
	case err != nil:
		return nil, abi.CodeMalformed
	}
	n.Data = body
	switch {
	case r.Header.Get("Content-Type") == "application/octet-stream":
		n.Encoding = abi.Binary
	case len(body) > 0 && !(json.Valid(body) && utf8.Valid(body)):
		return nil, abi.CodeMalformed
	}
	return n, nil
}
