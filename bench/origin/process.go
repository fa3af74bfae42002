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
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// process is the parent's side of a child. The child dies with its parent, even by SIGKILL: its standard input ends, and
// on Linux the kernel kills it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer // held open: its end is the child's end
	stdout *os.File  // held open: the child must not die of a broken pipe
	stderr childtest.Tail

	done chan struct{} // closed when the child is gone
	err  error         // how it ended; read after done
}

// startProcess starts the child and waits until it serves; it returns the address as well.
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
	p.cmd.Env = append(childEnviron(), childEnv+"="+string(config))
	p.cmd.Stderr = &p.stderr
	p.cmd.WaitDelay = time.Second // for the copying of stderr
	childtest.DieWithParent(p.cmd, syscall.SIGKILL)
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	return p.run()
}

// run starts the child and reports once it runs. Linux ties the child's life to the thread that started it, not to the
// process: the goroutine keeps its thread until the child is gone.
func (p *process) run() error {
	stdout, childStdout, err := os.Pipe()
	if err != nil {
		return err
	}
	p.stdout = stdout
	p.cmd.Stdout = childStdout
	started := make(chan error)
	go func() {
		defer close(p.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		childStdout.Close()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		stdout.Close()
		return err
	}
	return nil
}

// address waits for the one line that the child writes.
func (p *process) address(ctx context.Context) (string, error) {
	stop := context.AfterFunc(ctx, func() { p.stdout.SetReadDeadline(time.Now()) })
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

// kill ends the child and returns when it is gone. Nothing is lost by a SIGKILL: what the server has acknowledged is in
// files, and a graceful stop would wait for idle connections. The error says that the child was gone before.
func (p *process) kill() error {
	var early error
	select {
	case <-p.done:
		early = errors.Join(fmt.Errorf("the child had ended: %w", exitError(p.err)), p.lastWords())
	default:
		p.cmd.Process.Kill()
	}
	<-p.done
	p.stdin.Close()
	p.stdout.Close()
	return early
}

// exitError is the error of a child that should not have ended at all.
func exitError(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}

// childEnviron leaves out what configures AWS clients: the child is a server and needs none of it.
func childEnviron() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "AWS_") {
			env = append(env, kv)
		}
	}
	return env
}

// lastWords are what the child complained with.
func (p *process) lastWords() error {
	if s := p.stderr.String(); s != "" {
		return errors.New(s)
	}
	return nil
}
