//go:build js

// Command front is a front worker that fails on demand, for the tests of its glue: /exit ends its
// instance, /panic panics where nobody recovers, /silent answers without a verdict, /echo/ says what it was asked.
package main

import (
	"os"
	"strings"

	"github.com/oriel-rooms/oriel/edge/worker/bridge"
	"github.com/oriel-rooms/oriel/edge/worker/verdict"
)

func main() {
	served := 0
	bridge.Serve(func(head string) string {
		line, _, _ := strings.Cut(head, "\n")
		switch {
		case strings.HasSuffix(line, "/exit"):
			os.Exit(1)
		case strings.HasSuffix(line, "/panic"):
			panic("front")
		case strings.HasSuffix(line, "/silent"):
			return ""
		}
		if _, said, ok := strings.Cut(line, "/echo/"); ok {
			return verdict.Verdict{Do: verdict.Token, Token: said}.Encode()
		}
		served++
		return verdict.Verdict{Do: verdict.Token, Token: string(rune('0' + served))}.Encode()
	})
}
