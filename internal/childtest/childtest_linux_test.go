package childtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// The test binary also serves as a parent whose child must die with it.
func TestMain(m *testing.M) {
	if os.Getenv("CHILDTEST_PARENT") != "" {
		child := exec.Command("cat")
		child.Stdin, child.Stdout = os.NewFile(3, "in"), os.Stdout
		child.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		DieWithParent(child, syscall.SIGKILL)
		if err := child.Start(); err != nil {
			panic(err)
		}
		fmt.Println(child.Process.Pid, child.SysProcAttr.Setpgid)
		select {}
	}
	os.Exit(m.Run())
}

func TestDieWithParent(t *testing.T) {
	in, hold, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	parent := Command()
	parent.Env = append(os.Environ(), "CHILDTEST_PARENT=1")
	parent.ExtraFiles = []*os.File{in}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasSuffix(line, " true\n") {
		t.Fatal(line, err)
	}
	parent.Process.Kill()
	_, _ = lines.ReadByte() // returns once the child, which also holds the pipe, has died
	parent.Wait()
}

func TestTail(t *testing.T) {
	var to strings.Builder
	tail := Tail{To: &to}
	for i := range 1000 {
		fmt.Fprintf(&tail, "line %d\n", i)
	}
	if s := tail.String(); len(s) > 1<<10 || !strings.HasSuffix(s, "line 999") || strings.Contains(s, "line 0\n") {
		t.Errorf("Tail kept %d bytes: %.40q", len(s), s)
	}
	if !strings.HasPrefix(to.String(), "line 0\n") {
		t.Error("Tail did not pass the output on")
	}
}
