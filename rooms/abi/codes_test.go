package abi_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oriel-rooms/oriel/rooms/abi"
)

func TestCodeTable(t *testing.T) {
	names := map[string]bool{}
	last := abi.Code(0)
	for _, c := range abi.Codes() {
		if c.Code <= last {
			t.Errorf("%d is not in order", c.Code)
		}
		last = c.Code
		if names[c.Name] || c.Name == "" || strings.Trim(c.Name, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
			t.Errorf("%d: bad or double name %q", c.Code, c.Name)
		}
		names[c.Name] = true
		if c.Status < 200 || c.Status > 599 || !strings.HasSuffix(c.Text, ".") {
			t.Errorf("%s: status %d, text %q", c.Name, c.Status, c.Text)
		}
		if got, ok := abi.CodeByName(c.Name); !ok || got != c.Code {
			t.Errorf("CodeByName(%q) = %d, %v", c.Name, got, ok)
		}
		if c.Code.Info() != c || c.Code.String() != c.Name || c.Code.Action() != c.Action {
			t.Errorf("%s: Info, String or Action disagree with the table", c.Name)
		}
		if len(abi.CloseReason(c.Code, time.Hour, "")) > abi.MaxCloseReason {
			t.Errorf("%s: the name does not fit a close frame", c.Name)
		}
		// The number alone says the action, also to a client without the table.
		if c.Code >= 4000 && c.Action != byRange(c.Code) {
			t.Errorf("%s: %v, but its range says %v", c.Name, c.Action, byRange(c.Code))
		}
		if c.Code >= 4300 {
			t.Errorf("%s: 4300 to 4999 are not ours", c.Name)
		}
	}
}

func byRange(c abi.Code) abi.Action {
	switch {
	case c < 4100, c >= 4400 && c < 4500:
		return abi.ActionRetry
	case c < 4200, c >= 4500 && c < 4600:
		return abi.ActionReauthenticate
	}
	return abi.ActionStop
}

func TestUnknownCodes(t *testing.T) {
	for c, want := range map[abi.Code]abi.Action{
		1004: abi.ActionRetry, 1015: abi.ActionRetry, 2999: abi.ActionRetry, 3000: abi.ActionStop, 3999: abi.ActionStop,
		4099: abi.ActionRetry, 4199: abi.ActionReauthenticate, 4299: abi.ActionStop, 4300: abi.ActionStop, 4399: abi.ActionStop,
		4400: abi.ActionRetry, 4499: abi.ActionRetry, 4500: abi.ActionReauthenticate, 4599: abi.ActionReauthenticate,
		4600: abi.ActionStop, 4999: abi.ActionStop,
	} {
		if got := c.Action(); got != want {
			t.Errorf("%d: %v, want %v", c, got, want)
		}
		if info := c.Info(); info.Name != fmt.Sprintf("code_%d", c) || info.Action != want {
			t.Errorf("%d: %+v", c, info)
		}
	}
	if _, ok := abi.CodeByName("code_4400"); ok {
		t.Error("CodeByName knows a code that is not in the table")
	}
}

func TestSendable(t *testing.T) {
	for c := range abi.Code(6000) {
		want := c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
		if c.Sendable() != want {
			t.Errorf("%d: %v", c, !want)
		}
	}
}

func TestCloseReason(t *testing.T) {
	for _, tt := range []struct {
		code   abi.Code
		retry  time.Duration
		detail string
		want   string
	}{
		{abi.CodeRestarting, 0, "", "restarting"},
		{abi.CodeRestarting, 1500 * time.Millisecond, "deploying", "restarting; retry=1500; deploying"},
		{abi.CodeKicked, 0, "be nice", "kicked; be nice"},
		{4400, time.Second, "", "code_4400; retry=1000"},
	} {
		got := abi.CloseReason(tt.code, tt.retry, tt.detail)
		if got != tt.want || abi.RetryHint(got) != tt.retry {
			t.Errorf("got %q with hint %v, want %q", got, abi.RetryHint(got), tt.want)
		}
	}
	long := abi.CloseReason(abi.CodeKicked, 0, strings.Repeat("ü", 200))
	if len(long) > abi.MaxCloseReason || len(long) < abi.MaxCloseReason-1 || !utf8.ValidString(long) {
		t.Errorf("%d bytes: %q", len(long), long)
	}
	if got := abi.CutReason("a\xffb"); got != "a\uFFFDb" {
		t.Errorf("%q", got)
	}
	if got := abi.CutReason(strings.Repeat("\uFFFD", 41)); len(got) != 123 {
		t.Errorf("a reason of exactly 123 bytes is cut to %d", len(got))
	}
	for reason, want := range map[string]time.Duration{
		"": 0, "retry=": 0, "retry=-1": 0, "retry=x": 0, "x; retry=5": 5 * time.Millisecond,
		"retry=4294967295": time.Hour, "retry=99999999999": 0, "retrying=5": 0,
	} {
		if got := abi.RetryHint(reason); got != want {
			t.Errorf("%q: %v, want %v", reason, got, want)
		}
	}
}

func TestCodeIsAnError(t *testing.T) {
	err := fmt.Errorf("connect: %w", abi.CodeRoomFull)
	var code abi.Code
	if !errors.As(err, &code) || code != abi.CodeRoomFull || !errors.Is(err, abi.CodeRoomFull) {
		t.Errorf("%v does not unwrap to its code", err)
	}
}
