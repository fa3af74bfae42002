package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childEnv makes this test binary a process that votes once: "kind voter dir".
const childEnv = "DBJSON_TEST_CHILD"

// process is another process that votes. It reports each step and waits to be told
// to continue. It exits when its standard input is closed, so it ends with the
// test.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ended bool
}

func start(t *testing.T, kind, dir, voter string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childEnv+"="+kind+" "+voter+" "+dir)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	out, err2 := p.cmd.StdoutPipe()
	if err := errors.Join(err, err2, p.cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	t.Cleanup(func() {
		if !p.ended {
			p.kill(t)
		}
	})
	return p
}

// waitFor returns when the process has reported that step.
func (p *process) waitFor(t *testing.T, step string) {
	t.Helper()
	if got, err := p.out.ReadString('\n'); err != nil || got != step+"\n" {
		t.Fatalf("the process says %q, %v, want %q", got, err, step)
	}
}

func (p *process) goOn(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(p.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

// finish returns when the process has voted and exited.
func (p *process) finish(t *testing.T) {
	t.Helper()
	p.ended = true
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// kill ends the process without warning, as a host does after a time-out.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.ended = true
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	p.cmd.Wait()
}

// voteIfChild votes and exits if this process is the child.
func voteIfChild() {
	value, ok := os.LookupEnv(childEnv)
	if !ok {
		return
	}
	kind, rest, _ := strings.Cut(value, " ")
	voter, dir, _ := strings.Cut(rest, " ")
	var votes ballot
	var err error
	switch kind {
	case "json":
		file := newJSONFile(dir)
		file.read = func() { pause("read") }
		file.emptied = func() { pause("emptied") }
		votes = file
	case "sql":
		votes, err = openDatabase(databaseIn(dir))
		pause("open")
	}
	if err == nil {
		_, err = newService(votes).handle(context.Background(), In{"blue", "vote", voter, "lamp"})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// pause reports a step and waits for the test to continue.
func pause(step string) {
	fmt.Println(step)
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		os.Exit(1)
	}
}
