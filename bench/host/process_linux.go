package host

import (
	"errors"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// isolate gives the process a group, so that its children can be killed and
// frozen with it, and has it die with the host.
func isolate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
}

// reap returns when the process is dead and reaped. Its group is killed in
// between, while the zombie still keeps the group's number from being reused.
func (p *process) reap() {
	_ = awaitState(p.pid(), unix.WEXITED)
	p.bury()
	_ = p.cmd.Wait() // the state is in cmd.ProcessState
}

func killGroup(p *os.Process) {
	_ = unix.Kill(-p.Pid, unix.SIGKILL)
}

// stopGroup stops the process first and its children when it stands. All at
// once could hang: a child stopped between fork and exec holds up its parent
// (vfork), which then cannot stop.
func stopGroup(pid int) error {
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return err
	}
	if err := awaitState(pid, unix.WSTOPPED|unix.WEXITED); err != nil {
		return err
	}
	return unix.Kill(-pid, unix.SIGSTOP)
}

func continueGroup(pid int) error {
	return unix.Kill(-pid, unix.SIGCONT)
}

// awaitState waits until the process has stopped with all its threads, or
// ended, and leaves it to be reaped.
func awaitState(pid, states int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, states|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
