package memory

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// ErrNoMappings: as many rooms are awake as the process may have mappings.
var ErrNoMappings = errors.New("too many awake rooms for the system's number of mappings")

// A Budget bounds the mappings of a process. Each awake room takes one, and a process
// that cannot map at all any more does not fail well: Go's own heap needs mappings too.
type Budget struct {
	max  int64
	used atomic.Int64
}

// NewBudget returns a budget of n mappings.
func NewBudget(n int64) *Budget { return &Budget{max: n} }

// SystemBudget returns what the system allows (Linux: vm.max_map_count, 65,530 where it is
// not set) less an eighth, at most 8,192, for everybody else in the process.
func SystemBudget() *Budget {
	n := int64(65_530)
	if b, err := os.ReadFile("/proc/sys/vm/max_map_count"); err == nil {
		if v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && v > 0 {
			n = v
		}
	}
	return NewBudget(n - min(n/8, 8192))
}

// Max returns how many mappings there may be.
func (b *Budget) Max() int64 { return b.max }

func (b *Budget) take() bool {
	if b == nil || b.used.Add(1) <= b.max {
		return true
	}
	b.used.Add(-1)
	return false
}

func (b *Budget) give() {
	if b != nil {
		b.used.Add(-1)
	}
}
