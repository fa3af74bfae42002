package origin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// process is the parent's side of a child. The child ends with its parent, even if that is killed: its standard input
// ends then.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer     // held open
	stdout io.ReadCloser // held open: the child must not die of a broken pipe
	stderr childtest.Tail

	done chan struct{} // closed when the child has ended
}

// startProcess starts the child, waits until it serves, and returns its address.
func startProcess(ctx context.Context, c childConfig) (*process, string, error) {
	if !childReady.Load() {
		return nil, "", errors.New("call origin.ServeIfChild first in main or TestMain")
	}
	p := &process{done: make(chan struct{})}
	if err := p.start(c); err != nil {
		return nil, "", err
	}
	addr, err := p.address(ctx)
	if err != nil {
		p.kill()
		return nil, "", errors.Join(err, p.lastWords())
	}
	return p, addr, nil
}

func (p *process) start(c childConfig) error {
	config, err := json.Marshal(c)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(program)
	environ := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "AWS_") }) // for clients
	p.cmd.Env = append(environ, childEnv+"="+string(config))
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second // for the copying of stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	stdout, childStdout, err := os.Pipe()
	if err != nil {
		return err
	}
	defer childStdout.Close()
	p.stdout, p.cmd.Stdout = stdout, childStdout
	if err := p.cmd.Start(); err != nil {
		stdout.Close()
		return err
	}
	go func() {
		_ = p.cmd.Wait() // the state is in cmd.ProcessState
		close(p.done)
	}()
	return nil
}

// address waits for the one line that the child writes.
func (p *process) address(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { p.cmd.Process.Kill() })
	defer stop()
	line, err := bufio.NewReader(p.stdout).ReadString('\n')
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("the child ended before it listened: %w", err)
	}
	return strings.TrimSpace(line), nil
}

// kill ends the child and returns when it has ended. A SIGKILL loses no acknowledged object, and a graceful stop would
// wait for idle connections. It returns an error if the child had ended before.
func (p *process) kill() error {
	var early error
	select {
	case <-p.done:
		early = errors.Join(fmt.Errorf("the child had ended: %v", p.cmd.ProcessState), p.lastWords())
	default:
		p.cmd.Process.Kill()
	}
	<-p.done
	p.stdin.Close()
	p.stdout.Close()
	return early
}

// lastWords returns the end of the child's standard error.
func (p *process) lastWords() error {
	if s := p.stderr.String(); s != "" {
		return errors.New(s)
	}
	return nil
}
