package member_test

import (
	"context"
	"errors"

	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/oriel-rooms/oriel/selfhost/member"
)

// A census knows which identities were ever seen dead, and all generations.
type census struct {
	t           *testing.T
	mu          sync.Mutex // guards what follows
	dead        map[string]bool
	generations map[uint64]string
}

func (c *census) born(m *member.Membership) {
	c.mu.Lock()
	defer c.mu.Unlock()
	self := m.Self()
	if other, ok := c.generations[self.Generation]; ok {
		c.t.Errorf("%s and %s have one generation", other, self.ID)
	}
	c.generations[self.Generation] = self.ID
}

// look asks one node about another's identity, and holds the answer against all that is known.
func (c *census) look(m, other *member.Membership) {
	id := other.Self().ID
	c.mu.Lock()
	was := c.dead[id]
	c.mu.Unlock()
	alive, err := m.Alive(context.Background(), id)
	if err != nil {
		c.t.Error(err)
		return
	}
	// Certain is asked after the answer: it may only be certain now if it was then.
	if !alive && other.Certain() {
		c.t.Errorf("%s is certain and dead", id)
	}
	if alive && was {
		c.t.Errorf("%s came back from the dead", id)
	}
	if !alive {
		c.mu.Lock()
		c.dead[id] = true
		c.mu.Unlock()
	}
}

// TestHammer: thirty nodes join, drain, leave and crash at random, and ask about each other.
func TestHammer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newServer(t)
	c := &census{t: t, dead: map[string]bool{}, generations: map[uint64]string{}}
	const n = 30
	steps := 20
	if testing.Short() {
		steps = 6
	}
	var mu sync.Mutex // guards all
	var all []*member.Membership
	living := make([]*member.Membership, n)
	var wg sync.WaitGroup
	for i := range n {
		client, o := s.open(), options(nil)
		o.Redis, o.Lease = client, 2*time.Second
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			var m *member.Membership
			for range steps {
				if m == nil || m.Cause() != nil {
					if m != nil {
						m.Crash() // waits for what it left in the background
						o.Above = m.Highest()
					}
					next, err := member.Join(context.Background(), o)
					if errors.Is(err, member.ErrExpired) {
						m = nil
						continue // a machine this slow
					}
					if err != nil {
						t.Error(err)
						return
					}
					m = next
					c.born(m)
					mu.Lock()
					all = append(all, m)
					mu.Unlock()
				}
				mu.Lock()
				other := all[random.IntN(len(all))]
				mu.Unlock()
				switch random.IntN(8) {
				case 0:
					if err := m.Leave(context.Background()); err != nil {
						t.Error(err)
					}
				case 1:
					m.Crash()
				case 2:
					if err := m.Drain(context.Background()); err != nil && m.Cause() == nil {
						t.Error(err)
					}
				case 3:
					if _, err := m.Refresh(context.Background()); err != nil && m.Cause() == nil {
						t.Error(err)
					}
				case 4:
					v := m.View()
					select {
					case <-v.Superseded():
					case <-m.Lost():
					case <-time.After(time.Duration(random.IntN(300)) * time.Millisecond):
					}
				default:
					c.look(m, other)
				}
			}
			living[i] = m
		})
	}
	wg.Wait()
	defer func() {
		for _, m := range all {
			m.Crash()
		}
	}()
	// The dust settles: who lives is in every view, and nobody else.
	last := join(t, options(s.open()))
	var want []*member.Membership
	await(t, "the dead to disappear", func() bool {
		want = []*member.Membership{last}
		for _, m := range living {
			if m != nil && m.Certain() {
				want = append(want, m)
			}
		}
		return len(want) == len(last.View().Members)
	})
	if len(want) < 2 {
		t.Fatalf("%d members are left", len(want))
	}
	for _, m := range want {
		awaitMembers(t, m, want...)
		if !slices.Equal(m.View().Ring.Nodes(), want[0].View().Ring.Nodes()) {
			t.Errorf("the rings of %s and %s differ", m.Self().ID, want[0].Self().ID)
		}
	}
	for _, m := range all {
		c.look(last, m)
	}
}
