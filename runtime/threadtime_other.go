//go:build !linux && !darwin

package runtime

import "time"

// threadTime returns 0: the clocks of threads are too coarse here. Turns pay for their
// instructions only.
func threadTime() time.Duration { return 0 }
