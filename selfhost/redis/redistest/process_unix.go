//go:build unix

package redistest

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// A process is a redis-server below a shell, which kills it when the test's process is no more: then
// the shell's standard input ends.
type process struct {
	shell *exec.Cmd
	alive io.Closer
	pid   int
	gone  chan struct{} // closed when redis-server has ended
}

// watch gives redis-server the only end of the standard output, so that its end is seen.
const watch = `redis-server "$@" 3>&1 >/dev/null 2>&1 &
echo $!
exec >&-
read x
kill -9 $! 2>/dev/null
wait`

func launch(args ...string) (*process, error) {
	cmd := exec.Command("/bin/sh", append([]string{"-c", watch, "redis"}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{shell: cmd, alive: in, gone: make(chan struct{})}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err == nil {
		p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil || p.pid <= 1 {
		_ = in.Close()
		_ = cmd.Wait()
		return nil, fmt.Errorf("redis-server did not start: %q %w", line, err)
	}
	go func() {
		defer close(p.gone)
		_, _ = io.Copy(io.Discard, lines)
	}()
	return p, nil
}

// kill ends the process, and waits until it is gone.
func (p *process) kill() {
	_ = p.alive.Close()
	<-p.gone
	_ = p.shell.Wait()
}

func (p *process) pause(resume bool) error {
	if resume {
		return syscall.Kill(p.pid, syscall.SIGCONT)
	}
	return syscall.Kill(p.pid, syscall.SIGSTOP)
}
