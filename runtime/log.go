package runtime

import (
	"fmt"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

// Limits of what one turn logs; what is above them is dropped and counted.
const (
	maxLogLines = 256
	maxLogBytes = 64 << 10
	// maxOutput bounds what is kept of standard output and error of one turn.
	maxOutput = 4 << 10
)

// A LogLine is one line that a room logged.
type LogLine struct {
	// Room is the name given to [Module.NewRoom].
	Room  string
	Level abi.LogLevel
	// Text has at most [abi.MaxLogLine] bytes of valid UTF-8.
	Text string
	// Trapped says that the turn had no other effect than its log lines.
	Trapped bool
}

// journal collects the lines of one turn. Only the turn's goroutine uses it.
type journal struct {
	lines   []LogLine
	bytes   int
	dropped int
}

func (j *journal) add(level abi.LogLevel, text []byte) {
	if len(j.lines) >= maxLogLines || j.bytes+len(text) > maxLogBytes {
		j.dropped++
		return
	}
	j.bytes += len(text)
	j.lines = append(j.lines, LogLine{Level: level, Text: strings.ToValidUTF8(string(text), "\ufffd")})
}

func (j *journal) flush(room string, trapped bool, log func(LogLine)) {
	if j.dropped > 0 {
		j.lines = append(j.lines, LogLine{Level: abi.LogWarn, Text: fmt.Sprintf("%d log lines of this turn were dropped", j.dropped)})
	}
	for i := range j.lines {
		line := j.lines[i]
		line.Room, line.Trapped = room, trapped
		log(line)
	}
	clear(j.lines)
	*j = journal{lines: j.lines[:0]}
}

// clip cuts s to at most n bytes, not within a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
