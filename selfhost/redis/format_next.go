//go:build oriel_next

package redis

// Format is one that does not exist yet, for the tests of rolling deploys.
const Format = 2

// only is set to "yes" (go build -ldflags -X) for a release that reads the format and does not write it.
var only string

// Writes is the newest format that this program writes.
var Writes = func() int {
	if only != "" {
		return Format - 1
	}
	return Format
}()
