// Package e2e holds the end-to-end tests: they build the oriel binary and room modules, run them as
// processes of their own, and look at them from outside, through sockets, signals and exit codes.
// There is no code here that a server runs.
//
//	go test ./selfhost/e2e
//
// runs a short version of everything, some minutes. The long versions:
//
//	ORIEL_CRASH_CYCLES=500 go test -run TestCrash -timeout 1h ./selfhost/e2e
//	ORIEL_CRASH_SEED=7     go test -run TestCrash ./selfhost/e2e
//	ORIEL_TORTURE_ROUNDS=300 go test -run TestTorture -timeout 2h ./selfhost/e2e
//
// the first kills the server so many times (about four in a second), the second repeats the random
// choices of an earlier run, whose seed is in its log. Kill moments depend on the machine too, so a
// seed makes a failure likely, not certain.
//
// TestFullDisk mounts a small file system and is skipped without the right to do so. The tests of
// signals need a Unix system.
//
// # What is believed
//
// Publishers and readers are the project's Go client. What they claim is checked by a reader that
// shares no code with them: it speaks the session protocol over a plain WebSocket with
// encoding/json (the request history of PROTOCOL.md, section 9). Of a cluster a witness reads at Redis
// which owner wrote each commit. TestTheCheckFindsFaults plants faults in what is compared,
// TestPlanted in the binary.
package e2e
