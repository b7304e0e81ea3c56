package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A patch puts new in the place of old, which is in the file exactly once; without old it is the file.
type patch struct{ file, old, new string }

// plantedSource reads, in a package of the faulty binary, which fault the process has.
const plantedSource = `
// planted reports whether this process has a fault.
func planted(name string) bool { return os.Getenv("ORIEL_PLANTED") == name }
`

// plantedClock is a clock that is set an hour ahead and two hours back, again and again. What Go's monotonic clock says
// beside the time is left as it is, as it is when a machine's clock is set.
const plantedClock = `
import (
	"os"
	"time"
	"unsafe"
)

var plantedStart = time.Now()

func plantedNow() time.Time {
	now := time.Now()
	if planted("clock jumps") {
		seconds := int64(3600)
		if time.Since(plantedStart)/(700*time.Millisecond)%2 == 1 {
			seconds = -seconds
		}
		wall := (*uint64)(unsafe.Pointer(&now)) // its seconds begin at bit 30
		*wall += uint64(seconds) << 30
	}
	return now
}
`

// patches make the faulty binary: the product with the faults of TestPlanted, one of which a process has by
// its environment. The compiler gets them as an overlay, so that no switch is in the source that is built
// for anybody else.
var patches = []patch{
	{"../store/redis/script.go", `redis.NewScript(commitSource)`, `redis.NewScript(plantedCommit())`},
	{"../store/redis/lane.go", `commitScript.Command(l.s.ctx, q.source && i == 0,`, `plantedScript(p).Command(l.s.ctx, q.source && i == 0 || plantedScript(p) != commitScript,`},
	{"../store/redis/planted.go", "", `package redis

import (
	"os"
	"strings"

	"github.com/oriel-rooms/oriel/selfhost/redis"
)
` + plantedSource + `
func unchecked(what ...string) string {
	s := commitSource
	for _, w := range what {
		if strings.Count(s, w) != 1 {
			panic("commit.lua has changed: " + w)
		}
		s = strings.Replace(s, w, "false", 1)
	}
	return s
}

const (
	otherToken  = "have[1] ~= ARGV[1]"
	wasApplied  = "tonumber(number) >= tonumber(ARGV[3])"
	otherNumber = "number ~= ARGV[2]"
)

func plantedCommit() string {
	switch {
	case planted("token not checked"), planted("fencing off"):
		return unchecked(otherToken)
	case planted("commit number not checked"):
		return unchecked(wasApplied, otherNumber)
	}
	return commitSource
}

var blindScript = redis.NewScript(unchecked(otherToken, wasApplied, otherNumber))

// plantedScript is for a commit that may have been sent before.
func plantedScript(p *pending) *redis.Script {
	if planted("blind retry") && p.unsure {
		return blindScript
	}
	return commitScript
}
`},
	{"../member/lease.go", "func (l *lease) state() (State, time.Duration) {", `func (l *lease) state() (State, time.Duration) {
	if planted("fencing off") && l.hard.Load() != 0 {
		return Held, time.Hour
	}`},
	{"../member/lease.go", "func (l *lease) extend(sent time.Duration) bool {", `func (l *lease) extend(sent time.Duration) bool {
	if planted("fencing off") {
		return true
	}`},
	{"../member/membership.go", "func (m *Membership) end(cause error) {", `func (m *Membership) end(cause error) {
	if planted("fencing off") && cause == ErrGone {
		return
	}`},
	{"../member/planted.go", "", "package member\n\nimport \"os\"\n" + plantedSource},
	{"../scheduler/handover.go", `f.send([]byte{frameSeal})`, `if planted("hand-over without seal") {
			f.sealed = true
		} else {
			f.send([]byte{frameSeal})
		}`},
	{"../scheduler/planted.go", "", "package scheduler\n" + plantedClock + plantedSource},
	{"../scheduler/options.go", "o.Now = time.Now", "o.Now = plantedNow"},
	{"../cluster/planted.go", "", "package cluster\n" + plantedClock + plantedSource},
	{"../cluster/clock.go", "return time.Now().Round(0)", "return plantedNow().Round(0)"},
	{"../cluster/clock.go", "before := time.Now()", "before := plantedNow()"},
	{"../cluster/clock.go", "after := time.Now()", "after := plantedNow()"},
}

// faulty builds the faulty binary, once.
var faulty = sync.OnceValues(func() (string, error) { return patched("faulty", patches) })

// patched builds oriel out of a source that is changed for the compiler only.
func patched(name string, patches []patch) (binary string, err error) {
	dir, err := os.MkdirTemp(built.dir, name+"-")
	if err != nil {
		return "", err
	}
	changed := make(map[string]string)
	for _, p := range patches {
		file, err := filepath.Abs(p.file)
		if err != nil {
			return "", err
		}
		text, ok := changed[file]
		if !ok && p.old != "" {
			b, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			text = string(b)
		}
		if p.old != "" && strings.Count(text, p.old) != 1 {
			return "", fmt.Errorf("%s does not have this once any more, and what is put in its place is to be written anew:\n%s", p.file, p.old)
		}
		if p.old == "" { // a new file
			changed[file] = p.new
		} else {
			changed[file] = strings.Replace(text, p.old, p.new, 1)
		}
	}
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	for file, text := range changed {
		to := filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(file, filepath.VolumeName(file)), string(filepath.Separator), "-"))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[file] = to
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, b, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "oriel")
	return binary, goBuild(binary, "../cmd/oriel", nil, "-overlay", list)
}
