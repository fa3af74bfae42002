// Package redistest runs a Redis server for a test, in a temporary directory. The
// server listens on a Unix socket only.
package redistest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// ErrNotInstalled is returned by Start if redis-server is not installed.
var ErrNotInstalled = errors.New("redis-server is not installed")

// Server is a Redis server that runs or has been killed.
type Server struct {
	dir    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has exited
}

// Start returns once the server listens. The caller must call Close.
func Start() (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	dir, err := os.MkdirTemp("", "redis") // short, because a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err := s.Restart(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// URL returns the value for REDIS_URL.
func (s *Server) URL() string { return "unix://" + s.socket() }

func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

// Restart starts a killed server again, with an empty database.
func (s *Server) Restart() error {
	cmd := exec.Command("redis-server", "--port", "0", "--unixsocket", s.socket(), "--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", s.dir)
	childtest.DieWithParent(cmd, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start redis-server: %w", err)
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func(exited chan struct{}) {
		defer close(exited)
		_ = cmd.Wait() // the status is that of the signal
	}(s.exited)
	late := time.After(5 * time.Minute)
	for {
		if c, err := net.Dial("unix", s.socket()); err == nil {
			return c.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-s.exited:
			return errors.New("redis-server exited")
		case <-late:
			return errors.New("redis-server does not listen after 5 minutes")
		}
	}
}

// Kill ends the server with SIGKILL.
func (s *Server) Kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		<-s.exited
		s.cmd = nil
	}
}

// Close stops the server and removes its directory.
func (s *Server) Close() error {
	s.Kill()
	return os.RemoveAll(s.dir)
}
