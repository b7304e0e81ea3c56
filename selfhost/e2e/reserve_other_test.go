//go:build !linux

package e2e

import (
	"net"
	"testing"
)

// reserve returns an address of loopback that is free now.
func reserve(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
