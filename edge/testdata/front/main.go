//go:build js

// Command front is a front worker that fails on demand, for the tests of its glue: /exit ends its
// instance, /panic panics where nobody recovers, /silent answers without a verdict.
package main

import (
	"net/http"
	"os"

	"github.com/syumai/workers"

	"github.com/oriel-rooms/oriel/edge/worker/verdict"
)

func main() {
	served := 0
	workers.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exit":
			os.Exit(1)
		case "/panic":
			panic("front")
		case "/silent":
			w.WriteHeader(http.StatusNoContent)
			return
		}
		served++
		w.Header().Set(verdict.Header, verdict.Verdict{Do: verdict.Token, Token: string(rune('0' + served))}.Encode())
		w.WriteHeader(http.StatusNoContent)
	}))
}
