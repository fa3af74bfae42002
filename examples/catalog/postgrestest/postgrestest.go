// Package postgrestest runs a PostgreSQL server for a test, in a temporary
// directory. The server listens on a Unix socket only.
package postgrestest

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// ErrNotInstalled is returned by Start if the server is not installed.
var ErrNotInstalled = errors.New("postgresql is not installed")

// Server is a running PostgreSQL server.
type Server struct {
	dir    string
	log    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has exited
}

// Start returns once the server accepts connections. The caller must call Close.
func Start() (_ *Server, err error) {
	initdb, err := program("initdb")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pg") // short, because a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, log: filepath.Join(dir, "log")}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start postgresql: %w", errors.Join(err, s.Close()))
		}
	}()
	as, err := s.account()
	if err != nil {
		return nil, err
	}
	if err := s.init(initdb, as); err != nil {
		return nil, err
	}
	return s, s.serve(as)
}

// URL returns the value for DATABASE_URL.
func (s *Server) URL() string {
	return "postgres:///postgres?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

// Close stops the server and removes its directory.
func (s *Server) Close() error {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT) // immediate shutdown; nothing is worth saving
		<-s.exited
	}
	return os.RemoveAll(s.dir)
}

// program finds programs that Debian does not put into the PATH.
func program(name string) (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) > 0 {
		return found[len(found)-1], nil
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotInstalled, err)
	}
	return path, nil
}

// account returns the account to run the server as, and gives it the directory. The
// server refuses to run as root.
func (s *Server) account() (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid) // always numbers where Geteuid works
	gid, _ := strconv.Atoi(u.Gid)
	return attributes(uid, gid), os.Chown(s.dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) init(initdb string, as *syscall.SysProcAttr) error {
	cmd := exec.Command(initdb, "-D", s.data(), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale", "C")
	cmd.Dir, cmd.SysProcAttr = s.dir, as
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (s *Server) serve(as *syscall.SysProcAttr) error {
	postgres, err := program("postgres")
	if err != nil {
		return err
	}
	out, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(postgres, "-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off")
	cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = s.dir, as, out, out
	childtest.DieWithParent(cmd, syscall.SIGQUIT) // an immediate shutdown, which also ends its children
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.exited = cmd, make(chan struct{})
	go func() {
		defer close(s.exited)
		_ = cmd.Wait() // the status is that of the signal
	}()
	return s.await()
}

// await polls the file in which the server reports that it is ready.
func (s *Server) await() error {
	late := time.After(5 * time.Minute)
	for !s.ready() {
		select {
		case <-time.After(10 * time.Millisecond):
		case <-s.exited:
			return s.notReady("it exited")
		case <-late:
			return s.notReady("it is not ready after 5 minutes")
		}
	}
	return nil
}

func (s *Server) ready() bool {
	b, _ := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	lines := bytes.Split(b, []byte("\n"))
	return len(lines) > 7 && string(bytes.TrimSpace(lines[7])) == "ready"
}

func (s *Server) notReady(what string) error {
	b, _ := os.ReadFile(s.log)
	return fmt.Errorf("%s\n%s", what, b)
}
