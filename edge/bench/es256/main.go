//go:build js

// Command es256 is a front that knows one ES256 key, for the benchmarks: what a signature costs when Go
// checks it. The deployed front has no such keys.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/syumai/workers/cloudflare"

	"github.com/oriel-rooms/oriel/edge/worker/bridge"
	"github.com/oriel-rooms/oriel/edge/worker/verdict"
	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/admission"
)

// key is admission.Keys of itself.
type key struct{ public *ecdsa.PublicKey }

func (key) Algorithms() []string                    { return []string{"ES256"} }
func (k key) Lookup(string, string) []admission.Key { return []admission.Key{k} }

func (k key) Verify(input string, signature []byte) error {
	return jwt.SigningMethodES256.Verify(input, signature, k.public)
}

func main() {
	door, err := open()
	if err != nil {
		fmt.Fprintln(os.Stderr, "es256:", err)
		os.Exit(1)
	}
	bridge.Serve(func(head string) string {
		_, token, _ := strings.Cut(head, "\nauthorization: Bearer ")
		token, _, _ = strings.Cut(token, "\n")
		id, err := door.Verify(token, time.Now())
		if err != nil {
			return verdict.Verdict{Do: verdict.Refuse, Code: abi.CodeUnauthenticated}.Encode()
		}
		return verdict.Verdict{Do: verdict.Request, User: id.User}.Encode()
	})
}

func open() (*admission.Door, error) {
	point, err := base64.RawURLEncoding.DecodeString(cloudflare.Getenv("ORIEL_SECRET"))
	if err != nil {
		return nil, err
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, err
	}
	return admission.New(admission.Policy{Keys: key{public}})
}
