package redis

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/redis"
)

// Every command of the scripts is one that the check at the start tries.
func TestScriptCommands(t *testing.T) {
	calls := regexp.MustCompile(`redis\.call\(('(\w+)'|[^',]+)`)
	known := redis.Commands()
	n := 0
	for name, source := range map[string]string{
		"claim": claimSource, "commit": commitSource, "release": releaseSource, "list": listSource,
		"outbox": outboxSource, "wake": wakeSource, "due": dueSource, "take": takeSource,
	} {
		for _, m := range calls.FindAllStringSubmatch(source, -1) {
			n++
			if m[2] == "" && name == "list" {
				continue // zrangebylex or zrevrangebylex
			}
			if !slices.Contains(known, strings.ToLower(m[2])) {
				t.Errorf("%s.lua runs %s, which nobody checks", name, m[1])
			}
		}
	}
	if n < 30 {
		t.Errorf("found only %d commands", n)
	}
}
