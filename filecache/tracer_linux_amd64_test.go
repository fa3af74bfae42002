package filecache

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tracer can act at a system call: kill the process before it, or make it fail with
// an errno.
const (
	letBe  = 0
	killIt = -1
)

// tracer runs a process and inspects each of its system calls that concerns a
// directory, in the order in which they happen in the whole process. (strace counts
// separately for each thread and kind of call, so its N does not identify a moment in
// the life of a process with threads.)
type tracer struct {
	dir string
	// at decides about the nth call, from 1.
	at    func(n int, name string) int
	calls []string // those seen so far
	// absolute are the paths below dir that were not given relative to a directory.
	absolute []string
}

// traced are the inspected calls, and the positions of their path or file.
var traced = map[uint64]struct {
	name string
	path int // which argument, from 0; -1: none
	file int // the file, or the directory that path is relative to
}{
	unix.SYS_OPENAT:     {"openat", 1, 0},
	unix.SYS_NEWFSTATAT: {"newfstatat", 1, 0},
	unix.SYS_MKDIRAT:    {"mkdirat", 1, 0},
	unix.SYS_FCHMODAT:   {"fchmodat", 1, 0},
	unix.SYS_FCHMOD:     {"fchmod", -1, 0},
	unix.SYS_UNLINKAT:   {"unlinkat", 1, 0},
	unix.SYS_RENAMEAT:   {"renameat", 3, 2},
	unix.SYS_LINKAT:     {"linkat", 3, 2},
	unix.SYS_UTIMENSAT:  {"utimensat", 1, 0},
	unix.SYS_STATFS:     {"statfs", 0, -1},
	unix.SYS_FSTATFS:    {"fstatfs", -1, 0},
	unix.SYS_FSTAT:      {"fstat", -1, 0},
	unix.SYS_READ:       {"read", -1, 0},
	unix.SYS_PREAD64:    {"pread64", -1, 0},
	unix.SYS_WRITE:      {"write", -1, 0},
	unix.SYS_PWRITE64:   {"pwrite64", -1, 0},
	unix.SYS_FALLOCATE:  {"fallocate", -1, 0},
	unix.SYS_FTRUNCATE:  {"ftruncate", -1, 0},
	unix.SYS_FLOCK:      {"flock", -1, 0},
	unix.SYS_FCNTL:      {"fcntl", -1, 0},
	unix.SYS_GETDENTS64: {"getdents64", -1, 0},
	unix.SYS_CLOSE:      {"close", -1, 0},
}

// run runs the command to its end and returns its status.
func (tr *tracer) run(t *testing.T, cmd *exec.Cmd) unix.WaitStatus {
	t.Helper()
	runtime.LockOSThread() // a tracer is a thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Skipf("cannot trace a process here: %v", err)
	}
	defer cmd.Process.Release()
	pid := cmd.Process.Pid
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, unix.WALL, nil); err != nil || !ws.Stopped() {
		t.Fatalf("the process did not stop at its start: %v, %v", ws, err)
	}
	const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, &ws, unix.WALL, nil)
		t.Skipf("cannot trace a process here: %v", err)
	}
	unix.PtraceSyscall(pid, 0)
	inside := map[int]int{} // the threads in a call, and the result to inject
	for {
		tid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			t.Fatalf("wait: %v", err)
		case ws.Exited() || ws.Signaled():
			if tid == pid {
				return ws
			}
			continue
		}
		deliver := 0
		switch sig := ws.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			if !tr.stopped(pid, tid, inside) {
				continue // it is dying
			}
		case sig != unix.SIGTRAP && sig != unix.SIGSTOP: // the tracer's own
			deliver = int(sig)
		}
		unix.PtraceSyscall(tid, deliver) // fails only if it is dying
	}
}

// stopped handles the entry to a call or the return from it. It reports whether the
// process may continue.
func (tr *tracer) stopped(pid, tid int, inside map[int]int) bool {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) != nil {
		return false
	}
	if errno, ok := inside[tid]; ok {
		delete(inside, tid)
		if errno > 0 {
			regs.Rax = uint64(-int64(errno))
			unix.PtraceSetRegs(tid, &regs)
		}
		return true
	}
	inside[tid] = 0
	call, ok := traced[regs.Orig_rax]
	if !ok {
		return true
	}
	args := [...]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10}
	var path string
	if call.path >= 0 {
		path = peekString(tid, uintptr(args[call.path]))
	}
	absolute := filepath.IsAbs(path)
	if !absolute && call.file >= 0 {
		of, _ := os.Readlink(filepath.Join("/proc", itoa(pid), "fd", itoa(int(int32(args[call.file])))))
		path = filepath.Join(of, path)
	}
	if !strings.HasPrefix(path, tr.dir) {
		return true
	}
	if absolute {
		tr.absolute = append(tr.absolute, call.name+" "+path)
	}
	tr.calls = append(tr.calls, call.name)
	switch what := tr.at(len(tr.calls), call.name); what {
	case letBe:
	case killIt:
		unix.Kill(pid, unix.SIGKILL)
		return false
	default:
		inside[tid] = what
		regs.Orig_rax = ^uint64(0)
		unix.PtraceSetRegs(tid, &regs)
	}
	return true
}

func peekString(tid int, addr uintptr) string {
	var s []byte
	for b := make([]byte, 8); len(s) < 4096; addr += 8 {
		if n, err := unix.PtracePeekText(tid, addr, b); err != nil || n < len(b) {
			break
		}
		for _, c := range b {
			if c == 0 {
				return string(s)
			}
			s = append(s, c)
		}
	}
	return string(s)
}
