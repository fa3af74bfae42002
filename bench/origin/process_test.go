package origin

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// startParent runs this test binary as a process that has a server, and returns the server's endpoint and process.
func startParent(t *testing.T) (parent *exec.Cmd, endpoint string, child *os.Process) {
	t.Helper()
	parent = exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentEnv+"="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		parent.Process.Kill()
		parent.Wait()
	})
	var pid int
	if _, err := fmt.Fscan(out, &endpoint, &pid); err != nil {
		t.Fatal(err)
	}
	child, err = os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Release() })
	return parent, endpoint, child
}

func TestChildDiesWithItsParent(t *testing.T) {
	parent, endpoint, _ := startParent(t)
	if !isListening(endpoint) {
		t.Fatal("the server does not listen")
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child's end", func() bool { return !isListening(endpoint) })
}

// The child exits at the end of its standard input.
func TestChildEndsWithItsInput(t *testing.T) {
	config, err := json.Marshal(childConfig{Dir: t.TempDir(), Access: "access", Secret: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(newContext(t), os.Args[0])
	child.Env = append(os.Environ(), childEnv+"="+string(config))
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var addr string
	if _, err := fmt.Fscan(out, &addr); err != nil {
		t.Fatal(err)
	}
	if !isListening("http://" + addr) {
		t.Error("the server does not listen")
	}
	in.Close()
	if err := child.Wait(); err != nil {
		t.Errorf("the child did not end by itself: %v", err)
	}
}
