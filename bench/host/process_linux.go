package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/internal/childtest"
)

// isolate gives the process a group, so that its children can be killed and frozen with
// it, and lets it die with the host.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	childtest.DieWithParent(cmd, unix.SIGKILL)
}

// reap returns when the process is dead and reaped. It kills the group in between,
// while the zombie still keeps the group's number from being reused.
func (p *process) reap() {
	_ = awaitState(p.pid(), unix.WEXITED)
	p.bury()
	_ = p.cmd.Wait() // the state is in cmd.ProcessState
}

// passes bounds the searches for processes that start while others are killed.
const passes = 5

func killAll(p *os.Process, tmp string) {
	for range passes {
		left := strays(p.Pid, tmp)
		_ = unix.Kill(-p.Pid, unix.SIGKILL)
		if signalAll(left, unix.SIGKILL) == 0 {
			return
		}
	}
}

// stopAll stops the process first, and then its children. Stopping all at once could
// hang: a child that is stopped between fork and exec blocks its parent (vfork), which
// then cannot stop.
func stopAll(pid int, tmp string) ([]stat, error) {
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return nil, err
	}
	if err := awaitState(pid, unix.WSTOPPED|unix.WEXITED); err != nil {
		return nil, err
	}
	stopped := strays(pid, tmp)
	signalAll(stopped, unix.SIGSTOP)
	return stopped, unix.Kill(-pid, unix.SIGSTOP)
}

func continueAll(pid int, stopped []stat) error {
	signalAll(stopped, unix.SIGCONT)
	return unix.Kill(-pid, unix.SIGCONT)
}

// awaitState waits until the process has stopped with all its threads, or ended. It
// does not reap it.
func awaitState(pid, states int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, states|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// stat is a process in /proc. Its pid and its start identify it for ever.
type stat struct {
	pid, parent, group int
	state              byte
	start              int // in clock ticks since the boot
}

func readStat(pid int) (s stat, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name before it may hold anything
	if err != nil || len(f) < 20 {
		return stat{}, false
	}
	number := func(i int) int { n, _ := strconv.Atoi(string(f[i])); return n }
	return stat{pid, number(1), number(2), f[0][0], number(19)}, true
}

// strays finds the processes that belong to a process and have left its group: its
// descendants, and orphans that have its TMPDIR, with their descendants. It does not
// find an orphan without that variable.
func strays(pid int, tmp string) (found []stat) {
	self, _ := readStat(pid)
	entries, _ := filepath.Glob("/proc/[0-9]*")
	children := map[int][]stat{}
	marker := []byte("TMPDIR=" + tmp + "\x00")
	next := []stat{{pid: pid}}
	for _, e := range entries {
		n, _ := strconv.Atoi(filepath.Base(e))
		s, ok := readStat(n)
		if !ok || s.state == 'Z' || s.start < self.start || n == pid || n == os.Getpid() {
			continue
		}
		children[s.parent] = append(children[s.parent], s)
		if environ, _ := os.ReadFile(e + "/environ"); bytes.Contains(environ, marker) {
			next = append(next, s)
		}
	}
	seen := map[int]bool{pid: true}
	for len(next) > 0 {
		s := next[0]
		next = append(next[1:], children[s.pid]...)
		if children[s.pid] = nil; !seen[s.pid] && s.group != pid {
			found = append(found, s)
		}
		seen[s.pid] = true
	}
	return found
}

// signalAll returns the number of processes that the signal reached. os.FindProcess
// pins each of them, so the signal cannot reach a successor with the same pid.
func signalAll(processes []stat, s syscall.Signal) (n int) {
	for _, want := range processes {
		p, err := os.FindProcess(want.pid)
		if err != nil {
			continue
		}
		if got, ok := readStat(want.pid); ok && got.start == want.start && p.Signal(s) == nil {
			n++
		}
		_ = p.Release()
	}
	return n
}
