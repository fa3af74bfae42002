package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// privateTmp has cmd run with dir as its /tmp, in a mount namespace. What it
// returns is to be called on the thread that starts cmd, and spoils it for
// anything else.
//
// The program is started by way of its working directory, which the thread
// enters before: it may itself lie under the /tmp that is covered up.
func privateTmp(cmd *exec.Cmd, dir string) func() error {
	return func() error {
		if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("private /tmp: %w", os.NewSyscallError("unshare", err))
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("private /tmp: %w", os.NewSyscallError("mount", err))
		}
		if err := unix.Chdir(cmd.Dir); err != nil {
			return fmt.Errorf("private /tmp: %w", &os.PathError{Op: "chdir", Path: cmd.Dir, Err: err})
		}
		if err := unix.Mount(dir, "/tmp", "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("private /tmp: %w", os.NewSyscallError("mount", err))
		}
		cmd.Path, cmd.Dir = "./"+filepath.Base(cmd.Path), ""
		return nil
	}
}

func onMainThread() bool { return unix.Gettid() == os.Getpid() }
