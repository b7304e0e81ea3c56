package member_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

func reading(c member.Client, version int) member.Options {
	o := options(c)
	o.Meta = member.Meta{LinkMin: 1, LinkMax: version, Formats: map[string]int{"f": version}}
	return o
}

// A format rises when the last node that does not read it is gone, and then no such node comes back.
func TestAgree(t *testing.T) {
	s := newServer(t)
	agree := func(m *member.Membership, want int) {
		t.Helper()
		if got, err := m.Agree(t.Context(), "f", 2); err != nil || got != want {
			t.Fatalf("version %d, want %d (%v)", got, want, err)
		}
	}
	a, b, c := join(t, reading(s.open(), 2)), join(t, reading(s.open(), 3)), join(t, reading(s.open(), 1))
	agree(a, 1)
	if err := c.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	silent := options(s.open()) // says nothing of formats
	silent.Lease = member.MinLease
	d := join(t, silent)
	agree(b, 1)
	d.Crash() // until its lease has ended, it may still read
	await(t, "the dead node to be forgotten", func() bool {
		got, err := a.Agree(t.Context(), "f", 2)
		return err == nil && got == 2
	})
	if got, err := a.Agree(t.Context(), "f", 3); err != nil || got != 2 {
		t.Fatalf("version %d (%v): a does not read 3", got, err)
	}
	for _, o := range []member.Options{reading(s.open(), 1), silent} {
		_, err := member.Join(t.Context(), o)
		if !errors.Is(err, member.ErrVersion) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("an old node joined: %v", err)
		}
	}
	join(t, reading(s.open(), 2))
}

// Nodes without a version of the link in common do not become one fleet.
func TestLinkVersions(t *testing.T) {
	s := newServer(t)
	speaking := func(least, most int) member.Options {
		o := options(s.open())
		o.Meta = member.Meta{LinkMin: least, LinkMax: most}
		return o
	}
	old := join(t, speaking(1, 1))
	join(t, speaking(1, 3))
	_, err := member.Join(t.Context(), speaking(2, 3))
	if !errors.Is(err, member.ErrVersion) || !strings.Contains(err.Error(), old.Self().ID+" speaks versions 1 to 1 of the link, it speaks 2 to 3") {
		t.Fatal(err)
	}
	if err := old.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	join(t, speaking(2, 3))
	if _, err := member.Join(t.Context(), speaking(4, 4)); !errors.Is(err, member.ErrVersion) {
		t.Fatal(err)
	}
}

// While nodes come that do not read a format, nodes that do agree on it: never both.
func TestAgreeRaces(t *testing.T) {
	s := newServer(t)
	for range 30 {
		a := join(t, reading(s.open(), 2))
		joined := make(chan error, 1)
		go func() {
			m, err := member.Join(t.Context(), reading(s.open(), 1))
			if err == nil {
				defer m.Crash()
			}
			joined <- err
		}()
		version, err := a.Agree(t.Context(), "f", 2)
		if err != nil {
			t.Fatal(err)
		}
		if err := <-joined; (err == nil) == (version == 2) {
			t.Fatalf("version %d is written, and the join of a node that reads 1: %v", version, err)
		}
		s.open().FlushAll(t.Context())
	}
}
