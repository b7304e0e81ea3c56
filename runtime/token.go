package runtime

import "context"

// tokens bound the turns that compute at the same time: a turn holds one while it
// computes and none while it waits.
type tokens chan struct{}

func newTokens(n int) tokens { return make(tokens, n) }

// take waits for a token.
func (t tokens) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	default:
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retake waits for a token however long it takes: for a turn that has begun and has to
// be ended. Every holder gives its token back after at most one turn's fuel.
func (t tokens) retake() { t <- struct{}{} }

func (t tokens) give() { <-t }
