//go:build js

// Command worker is the edge's front, compiled to WebAssembly with GOOS=js: it decides who may come
// in, by the same door as selfhost. Its glue is front.ts. One instance serves all requests of an
// isolate, so it does nothing but compute: every answer is a 204 whose header says
// what the glue has to do.
package main

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/syumai/workers"
	"github.com/syumai/workers/cloudflare"

	"github.com/oriel-rooms/oriel/edge/worker/verdict"
	"github.com/oriel-rooms/oriel/rooms/abi"
)

func main() {
	judge, err := verdict.New(verdict.Settings{
		Kinds:        cloudflare.Getenv("ORIEL_KINDS"),
		Secret:       cloudflare.Getenv("ORIEL_SECRET"),
		Origins:      cloudflare.Getenv("ORIEL_ORIGINS"),
		Audience:     cloudflare.Getenv("ORIEL_AUDIENCE"),
		Issuer:       cloudflare.Getenv("ORIEL_ISSUER"),
		Cookie:       cloudflare.Getenv("ORIEL_COOKIE"),
		FirstMessage: cloudflare.Getenv("ORIEL_FIRST_MESSAGE"),
		Dev:          cloudflare.Getenv("ORIEL_DEV"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
	}
	workers.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeInternal}
		// A panic would end the instance and with it the requests of others.
		defer func() {
			if p := recover(); p != nil {
				fmt.Fprintln(os.Stderr, "front: panic:", p)
				v = verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeInternal}
			}
			w.Header().Set(verdict.Header, v.Encode())
			w.WriteHeader(http.StatusNoContent)
		}()
		if judge != nil {
			v = judge.Judge(r, time.Now())
		}
	}))
}
