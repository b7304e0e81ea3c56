package member

import (
	"time"

	"golang.org/x/sys/unix"
)

// newClock returns a clock that goes on while the machine is suspended, which Go's monotonic
// clock does not.
func newClock() func() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return monotonic() // a sandbox without it
	}
	return func() time.Duration {
		var t unix.Timespec
		_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // it worked before
		return time.Duration(t.Nano())
	}
}
