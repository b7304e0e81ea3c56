// Command oriel runs rooms: see `oriel --help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/oriel-rooms/oriel/rooms/admission"
	"github.com/oriel-rooms/oriel/selfhost/config"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run carries out a command line and returns the exit code: 0, 1 if it failed, 2 if it was wrong.
func run(args []string, stdout, stderr io.Writer) int {
	cmd, err := config.Parse(args, nil, nil)
	if err != nil {
		fmt.Fprintln(stderr, "oriel:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch cmd.Name {
	case config.CommandHelp:
		fmt.Fprint(stdout, cmd.Help)
	case config.CommandVersion:
		fmt.Fprintln(stdout, "oriel", version())
	case config.CommandToken:
		err = token(cmd, stdout)
	case config.CommandCheck:
		err = check(ctx, cmd, stdout)
	case config.CommandCluster:
		err = showCluster(ctx, cmd, stdout)
	case config.CommandServe:
		err = serve(ctx, stop, cmd.Config, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintln(stderr, "oriel:", err)
		return 1
	}
	return 0
}

// token prints a token for a user, signed with the configured secret.
func token(cmd *config.Command, w io.Writer) error {
	if len(cmd.Config.Secrets) == 0 {
		return errors.New("token: no secret is configured")
	}
	t, err := admission.Mint(cmd.Config.Secrets[0], cmd.Claims(time.Now()))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, t)
	return err
}

// version is the module's version, or the commit it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
