//go:build !linux

package member

import "time"

func newClock() func() time.Duration { return monotonic() }
