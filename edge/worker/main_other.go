//go:build !js

// This file keeps the package whole elsewhere: the front runs in a Cloudflare worker only (GOOS=js).
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "worker: build it with GOOS=js GOARCH=wasm (edge/build.sh app)")
	os.Exit(1)
}
