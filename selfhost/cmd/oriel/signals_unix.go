//go:build unix

package main

import (
	"os"
	"syscall"
)

// reloadSignals make a node load its modules again.
var reloadSignals = []os.Signal{syscall.SIGHUP}
