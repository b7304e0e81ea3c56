package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/oriel-rooms/oriel/rooms/host"
)

// maxMessage bounds the message of a trap, as [host.Trap] promises.
const maxMessage = 4 << 10

// classify turns the error of a call into a trap. What a host function said comes
// first, then the fuel, then what the guest wrote to standard error before it ended.
func (in *instance) classify(err error) *host.Trap {
	t := &in.in
	if t.trap != nil {
		return t.trap
	}
	output := bytes.TrimSpace(t.output)
	text := clip(strings.ToValidUTF8(string(output), "\ufffd"), maxMessage)
	switch {
	case in.tank.empty():
		return &host.Trap{Cause: host.CauseFuel, Message: "the turn burnt more than its fuel", Err: err}
	case strings.Contains(err.Error(), "stack overflow"):
		return &host.Trap{Cause: host.CauseStack, Message: "the room recursed too deep", Err: err}
	}
	for _, f := range fatalErrors {
		if contains(output, f.text...) {
			return &host.Trap{Cause: f.cause, Message: text, Err: err}
		}
	}
	switch {
	case in.slot.Refused() && !contains(output, "panic: ", "panic("):
		return &host.Trap{Cause: host.CauseMemory, Message: "the room asked for more memory than its limit. " + text, Err: err}
	case t.exited && !contains(output, "panic: ", "fatal error: "):
		return &host.Trap{Cause: host.CauseExit, Message: fmt.Sprintf("the room exited with code %d", t.exitCode)}
	case text == "" || errors.Is(err, errHalt) && !t.exited:
		return &host.Trap{Cause: host.CausePanic, Message: clip(err.Error(), maxMessage), Err: err}
	}
	return &host.Trap{Cause: host.CausePanic, Message: text, Err: err}
}

// fatalErrors are what the Go runtime, or the Go SDK, writes before it gives up.
var fatalErrors = []struct {
	text  []string
	cause host.Cause
}{
	{[]string{"fatal error: all goroutines are asleep", "fatal error: no goroutines", "rooms: a goroutine outlived its turn"}, host.CauseBlocked},
	{[]string{"fatal error: stack overflow", "goroutine stack exceeds"}, host.CauseStack},
	{[]string{"fatal error: runtime: out of memory", "fatal error: out of memory", "runtime: cannot allocate memory", "fatal error: runtime: cannot allocate memory"}, host.CauseMemory},
}

func contains(b []byte, texts ...string) bool {
	for _, s := range texts {
		if bytes.Contains(b, []byte(s)) {
			return true
		}
	}
	return false
}

func sizeOf(n int) string { return fmt.Sprintf("%d bytes", n) }
