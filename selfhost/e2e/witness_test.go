package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A witness watches what a Redis runs, command by command, and knows of every commit that was applied
// under whose token it was. It shares no code with the store: it knows the arguments of the store's
// scripts, and the field of a room's record that holds the commit number.
type witness struct {
	addr string
	work sync.WaitGroup

	mu      sync.Mutex // guards all below
	closed  bool
	conn    net.Conn // nil while Redis is away
	marks   map[string]bool
	rooms   map[string]*writes // by the key of the room's record
	commits int
	found   []string
}

// writes are the commits of one room.
type writes struct {
	asked  commitAsked // by the last script; not yet known to be applied
	last   commitAsked
	missed bool // the witness was away since the last
}

type commitAsked struct {
	epoch, number uint64
	term          string
}

// newWitness watches a Redis until the test ends, through its restarts.
func newWitness(t testing.TB, addr string) *witness {
	t.Helper()
	w := &witness{addr: addr, marks: make(map[string]bool), rooms: make(map[string]*writes)}
	attached := make(chan struct{})
	w.work.Go(func() {
		for first := true; ; {
			err := w.watch(func() {
				if first {
					close(attached)
				}
				first = false
			})
			w.mu.Lock()
			closed := w.closed
			for _, r := range w.rooms {
				r.missed = true
			}
			w.mu.Unlock()
			if closed || err == nil {
				return
			}
			<-time.After(time.Millisecond) // it is down: no event says when it is up
		}
	})
	t.Cleanup(func() {
		w.mu.Lock()
		w.closed = true
		if w.conn != nil {
			_ = w.conn.Close()
		}
		w.mu.Unlock()
		w.work.Wait()
	})
	<-attached
	return w
}

// watch listens on one connection until it ends.
func (w *witness) watch(attached func()) error {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	w.mu.Lock()
	w.conn = c
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return io.EOF
	}
	if _, err := io.WriteString(c, "MONITOR\r\n"); err != nil {
		return err
	}
	lines := bufio.NewReaderSize(c, 1<<20)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		switch {
		case line == "+OK\r\n":
			attached()
		case strings.HasPrefix(line, "-LOADING"):
			return io.ErrUnexpectedEOF
		default:
			w.line(line)
		}
	}
}

var (
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	// tokens are "node epoch term".
	ownerToken = regexp.MustCompile(`^\S+ ([0-9]+) ([0-9a-f]{32})$`)
)

// line takes `time [database client] "command" "argument" ...`.
func (w *witness) line(line string) {
	_, rest, ok := strings.Cut(line, "] ")
	if !ok {
		return
	}
	args := quoted.FindAllString(rest, 10)
	for i, a := range args {
		args[i], _ = strconv.Unquote(a)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(args) == 2 && strings.EqualFold(args[0], "echo"):
		w.marks[args[1]] = true
	case len(args) == 10 && strings.HasPrefix(strings.ToUpper(args[0]), "EVAL") && args[2] == "4":
		// keys 3 to 6, then token, number before, number
		token := ownerToken.FindStringSubmatch(args[7])
		if token == nil {
			return
		}
		r := w.rooms[args[3]]
		if r == nil {
			r = &writes{}
			w.rooms[args[3]] = r
		}
		r.asked = commitAsked{term: token[2]}
		r.asked.epoch, _ = strconv.ParseUint(token[1], 10, 64)
		r.asked.number, _ = strconv.ParseUint(args[9], 10, 64)
	case len(args) > 3 && args[0] == "HSET" && args[2] == "n" && strings.Contains(line, " lua] "):
		if r := w.rooms[args[1]]; r != nil {
			w.applied(args[1], r)
		}
	}
}

// applied checks a commit against the one before. mu is held.
func (w *witness) applied(key string, r *writes) {
	last, now := r.last, r.asked
	r.last = now
	w.commits++
	say := func(format string, args ...any) {
		w.found = append(w.found, key+": "+fmt.Sprintf(format, args...))
	}
	switch {
	case last == commitAsked{}:
	case now.epoch < last.epoch:
		say("epoch %d writes commit %d after epoch %d wrote %d", now.epoch, now.number, last.epoch, last.number)
	case now.epoch == last.epoch && now.term != last.term:
		say("epoch %d was given to two owners", now.epoch)
	case now.number <= last.number || now.number != last.number+1 && !r.missed:
		say("commit %d follows commit %d", now.number, last.number)
	}
	r.missed = false
}

// faults returns what was wrong until now, and how many commits were seen. mark runs ECHO on the Redis.
func (w *witness) faults(t testing.TB, mark func(word string)) (list []string, commits int) {
	t.Helper()
	word := fmt.Sprint("mark-", time.Now().UnixNano())
	eventually(t, func() bool { // it may attach again just now
		mark(word)
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.marks[word]
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.found[:min(len(w.found), 20)]), w.commits
}
