package gateway

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(drainersEnv) != "" {
		drainersMain() // a benchmark's clients, in a process of their own
		return
	}
	goleak.VerifyTestMain(m)
}
