package runtime

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

// TestTokensOrder queues light and heavy waiters behind one token: each sort keeps its order, the
// light ones go first, and of each four turns one is a heavy one's.
func TestTokensOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(1)
		if err := tokens.take(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		var order []string
		wait := func(name string, heavy bool) {
			go func() {
				if err := tokens.take(t.Context(), heavy); err != nil {
					t.Error(err)
				}
				order = append(order, name)
				tokens.give()
			}()
			synctest.Wait()
		}
		for i := range 3 {
			wait(fmt.Sprint("heavy", i), true)
		}
		for i := range 7 {
			wait(fmt.Sprint("light", i), false)
		}
		tokens.give()
		synctest.Wait()
		want := []string{"light0", "light1", "light2", "heavy0", "light3", "light4", "light5", "heavy1", "light6", "heavy2"}
		if !slices.Equal(order, want) {
			t.Errorf("%v, want %v", order, want)
		}
		if tokens.free != 1 {
			t.Errorf("%d tokens are free", tokens.free)
		}
	})
}

// TestTokensLeave lets waiters give up, one of them while it is being served.
func TestTokensLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := newTokens(1)
		tokens.retake(false)
		ctx, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- tokens.take(ctx, false) }()
		synctest.Wait()
		cancel()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if len(tokens.light) != 0 {
			t.Error("it still waits")
		}
		// Granted and canceled at once: whatever it chooses, the token is not lost.
		ctx, cancel = context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if tokens.take(ctx, false) == nil {
				tokens.give()
			}
		}()
		synctest.Wait()
		cancel()
		tokens.give()
		<-done
		if tokens.free != 1 {
			t.Errorf("%d tokens are free", tokens.free)
		}
	})
}
