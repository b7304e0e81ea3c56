package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/rooms/abi"
	"github.com/oriel-rooms/oriel/rooms/internal/abijson"
)

// document returns the tables of ABI.md: the cells of each row, by the section they stand in.
func document(t *testing.T) (text string, tables map[string][][]string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "rooms/abi/ABI.md"))
	if err != nil {
		t.Fatal(err)
	}
	tables = map[string][][]string{}
	section := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "## "):
			section = line[3:]
		case strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
			}
			tables[section] = append(tables[section], cells)
		}
	}
	return string(b), tables
}

func number(s string) int64 {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// TestDocument holds the tables of ABI.md equal to the code.
func TestDocument(t *testing.T) {
	text, tables := document(t)
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}

	limits, err := readLimits(root)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, l := range limits {
		want = append(want, fmt.Sprint(l.name, " ", l.value))
	}
	for _, row := range tables["Limits"][1:] {
		got = append(got, fmt.Sprint(row[0], " ", number(row[1])))
	}
	compare(t, "limits", got, want)

	want, got = nil, nil
	for _, c := range abi.Codes() {
		want = append(want, fmt.Sprint(int(c.Code), " ", c.Name, " ", c.Status, " ", c.Action, " ", c.Text))
	}
	for _, row := range tables["Codes"] {
		if number(row[0]) > 0 {
			got = append(got, strings.Join(row, " "))
		}
	}
	compare(t, "codes", got, want)

	want, got = nil, nil
	for n := abi.EventType(1); n < 100; n++ {
		if !strings.HasPrefix(n.String(), "event_") { // the others are reserved
			want = append(want, fmt.Sprint(int(n), " ", n))
		}
	}
	for _, row := range tables["Events"][1:] {
		got = append(got, row[0]+" "+row[1])
	}
	compare(t, "events", got, want)

	want, got = nil, nil
	for n := abi.EffectType(1); !strings.HasPrefix(n.String(), "effect_"); n++ {
		want = append(want, fmt.Sprint(int(n), " ", n))
	}
	for _, row := range tables["Effects"][1:] {
		got = append(got, row[0]+" "+row[1])
	}
	compare(t, "effects", got, want)

	reasons := regexp.MustCompile(`(\d) (\w+) \(`).FindAllStringSubmatch(text[strings.Index(text, "`reason`: 1"):], int(abi.StartReplaced))
	for i, m := range reasons {
		if m[1] != strconv.Itoa(i+1) || m[2] != abijson.Reason(abi.StartReason(i+1)) {
			t.Errorf("start reason %s is called %s", m[1], m[2])
		}
	}

	for _, name := range []string{
		abi.ImportModule, abi.ExportMemory, abi.ExportInitialize, abi.ExportManifest, abi.ExportInbox, abi.ExportTurn,
		abi.ImportStorageGet, abi.ImportStorageList, abi.ImportLog,
	} {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("%s is not in ABI.md", name)
		}
	}
}

// TestDocumentedOptions checks every default of a kind's option, and that each limit in the table holds.
func TestDocumentedOptions(t *testing.T) {
	_, tables := document(t)
	defaults := map[string]string{}
	for _, row := range tables["The manifest"] {
		defaults[row[0]] = row[2]
	}
	o := abi.KindOptions{}.WithDefaults()
	for name, want := range map[string]any{
		"messageBytes": o.MessageBytes, "messagesPerSecond": o.MessagesPerSecond, "messageBurst": o.MessageBurst,
		"members": o.Members, "sleepAfter": o.SleepAfterMillis, "queueBytes": o.QueueBytes, "anonymous": o.Anonymous,
		"durability": strconv.Quote(string(o.Durability)), "overflow": strconv.Quote(string(o.Overflow)),
	} {
		if got := defaults[name]; got != fmt.Sprint(want) {
			t.Errorf("%s: ABI.md says %s, the code %v", name, got, want)
		}
	}
	for _, row := range tables["The manifest"] {
		limits := regexp.MustCompile(`^([\d,]+) to ([\d,]+)`).FindStringSubmatch(row[1])
		if limits == nil || row[0] == "kinds" {
			continue
		}
		for i, past := range []int64{-1, 1} {
			for _, d := range []int64{0, past} {
				n := number(limits[i+1]) + d
				if n == 0 {
					continue // 0 means the default
				}
				_, err := abi.DecodeManifest(fmt.Appendf(nil, `{"kinds":[{"name":"k",%q:%d}]}`, row[0], n))
				if (err == nil) != (d == 0) {
					t.Errorf("%s of %d: %v", row[0], n, err)
				}
			}
		}
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Errorf("%s: ABI.md and the code differ from row %d on:\n got %q\nwant %q", what, i, got[min(i, len(got)):min(i+1, len(got))], want[min(i, len(want)):min(i+1, len(want))])
			return
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s differ", what)
	}
}
