package protocol_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/session/protocol"
)

// TestDocument holds PROTOCOL.md to the code: the types of the binary form, the close codes and the
// names of the errors.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	types := regexp.MustCompile(`(?m)^\| 0x([0-9a-f]{2}) \| (\w+) \|`).FindAllStringSubmatch(text, -1)
	if len(types) != 15 {
		t.Errorf("%d types", len(types))
	}
	for _, m := range types {
		n, _ := strconv.ParseUint(m[1], 16, 8)
		if got := protocol.Type(n).String(); got != m[2] {
			t.Errorf("0x%s is %q in PROTOCOL.md and %q in the code", m[1], m[2], got)
		}
	}
	codes := regexp.MustCompile("(?m)^\\| (\\d{4}) \\| `(\\w+)` \\| [^|]+ \\| (\\w+) \\|").FindAllStringSubmatch(text, -1)
	if len(codes) < 14 {
		t.Errorf("%d close codes", len(codes))
	}
	for _, m := range codes {
		n, _ := strconv.Atoi(m[1])
		info := abi.Code(n).Info()
		if info.Name != m[2] || info.Action.String() != m[3] {
			t.Errorf("%s is %s %s in PROTOCOL.md and %s %s in the table", m[1], m[2], m[3], info.Name, info.Action)
		}
	}
	_, errors, _ := strings.Cut(text, "Retryable ones of the")
	errors, _, _ = strings.Cut(errors, "\n- ")
	names := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(errors, -1)
	if len(names) < 12 {
		t.Errorf("%d errors", len(names))
	}
	for _, m := range names {
		if _, ok := abi.CodeByName(m[1]); !ok {
			t.Errorf("%s is not in the error table", m[1])
		}
	}
	for _, s := range []string{protocol.PingText, protocol.PongText, protocol.ResyncFrame, protocol.SubprotocolJSON, protocol.SubprotocolBinary} {
		if !strings.Contains(text, s) {
			t.Errorf("%s is not in PROTOCOL.md", s)
		}
	}
}
