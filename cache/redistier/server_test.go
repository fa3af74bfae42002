//go:build unix

package redistier

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/internal/childtest"
)

// server is a real redis-server of a test's own, on loopback or a socket.
type server struct {
	t    testing.TB
	args []string
	addr string // host:port, or the path of the socket
	cmd  *exec.Cmd
}

// needs skips the test if a program is missing, or fails it if all programs are
// required.
func needs(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("WARMCACHE_TEST_REQUIRE") == "all" {
		t.Fatalf("needs %s, which is not installed", program)
	}
	t.Skipf("needs %s, which is not installed", program)
}

// startServer starts a server on a free port.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	port := freePort(t)
	return start(t, "127.0.0.1:"+port, append([]string{"--port", port, "--bind", "127.0.0.1"}, args...))
}

// startSocket starts a server on a unix socket.
func startSocket(t testing.TB, args ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redis") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	return start(t, socket, append([]string{"--port", "0", "--unixsocket", socket}, args...))
}

func start(t testing.TB, addr string, args []string) *server {
	t.Helper()
	needs(t, "redis-server")
	args = append([]string{"--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", t.TempDir()}, args...)
	s := &server{t: t, addr: addr, args: args}
	t.Cleanup(s.kill)
	s.start()
	return s
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// start runs the server and waits until it listens.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command("redis-server", s.args...)
	childtest.DieWithParent(s.cmd, syscall.SIGKILL)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	waitFor(s.t, "redis-server to listen", func() bool {
		conn, err := net.Dial(s.network(), s.addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// waitFor waits until done returns true.
func waitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *server) network() string {
	if strings.HasPrefix(s.addr, "/") {
		return "unix"
	}
	return "tcp"
}

func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *server) stop() { s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *server) cont() { s.cmd.Process.Signal(syscall.SIGCONT) }

// client returns a patient client of the server, which is closed with the test.
func (s *server) client(change ...func(*redis.UniversalOptions)) redis.UniversalClient {
	o := patientClient(s.addr)
	for _, f := range change {
		f(o)
	}
	return closed(s.t, Connect(o))
}

func closed(t testing.TB, c redis.UniversalClient) redis.UniversalClient {
	t.Cleanup(func() { c.Close() })
	return c
}

// do sends a command of the test's own, without a time limit.
func (s *server) do(args ...any) any {
	s.t.Helper()
	v, err := s.client().Do(context.Background(), args...).Result()
	if err != nil {
		s.t.Fatalf("%v: %v", args, err)
	}
	return v
}
