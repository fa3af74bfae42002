package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is the parent's side of a worker. It is not safe for concurrent use.
type process struct {
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	requests *json.Encoder
	answers  *json.Decoder
}

// startWorker starts this program again, as a worker. It ends with its stdin, or is
// killed with ctx.
func startWorker(ctx context.Context, env ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self, "fleet", "worker")}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.requests, p.answers = json.NewEncoder(p.stdin), json.NewDecoder(bufio.NewReader(stdout))
	return p, p.cmd.Start()
}

func (p *process) ask(k productKey) (a answer, err error) {
	if err := p.requests.Encode(k); err != nil {
		return a, fmt.Errorf("a worker does not listen: %w", err)
	}
	if err := p.answers.Decode(&a); err != nil {
		return a, fmt.Errorf("a worker does not answer: %w", err)
	}
	return a, nil
}

func (p *process) close() error {
	p.stdin.Close()
	return p.cmd.Wait()
}

// redisServer is a redis-server of one's own on a socket.
type redisServer struct {
	dir string
	cmd *exec.Cmd
}

// newRedis makes a place for one.
func newRedis() (*redisServer, error) {
	dir, err := os.MkdirTemp("", "redis") // a short name: a socket's path has at most 107 bytes
	return &redisServer{dir: dir}, err
}

func (r *redisServer) socket() string { return filepath.Join(r.dir, "s") }

func (r *redisServer) url() string { return "unix://" + r.socket() }

// start returns when the server listens. It forgets what one before has known.
func (r *redisServer) start() error {
	r.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", r.socket(), "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", r.dir)
	r.cmd.SysProcAttr = dieWithParent()
	if err := r.cmd.Start(); err != nil {
		r.cmd = nil
		return fmt.Errorf("start redis-server: %w", err)
	}
	for range 3000 {
		if c, err := net.Dial("unix", r.socket()); err == nil {
			return c.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("redis-server does not listen after 30 s")
}

// kill ends the server by SIGKILL.
func (r *redisServer) kill() {
	if r.cmd != nil {
		r.cmd.Process.Kill()
		r.cmd.Wait()
		r.cmd = nil
	}
}

func (r *redisServer) close() error {
	r.kill()
	return os.RemoveAll(r.dir)
}
