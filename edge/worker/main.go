//go:build js

// Command worker is the edge's front, compiled to WebAssembly with GOOS=js: it decides who may come
// in, by the same door as selfhost. Its glue is front.ts. One instance serves all requests of an
// isolate, so it does nothing but compute: the glue does what a verdict says.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/syumai/workers/cloudflare"

	"github.com/oriel-rooms/oriel/edge/worker/bridge"
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
	bridge.Serve(func(head string) (answer string) {
		// A panic would end the instance and with it the requests of others.
		defer func() {
			if p := recover(); p != nil {
				fmt.Fprintln(os.Stderr, "front: panic:", p)
				answer = verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeInternal}.Encode()
			}
		}()
		if judge == nil {
			return verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeInternal}.Encode()
		}
		return judge.Judge(head, time.Now()).Encode()
	})
}
