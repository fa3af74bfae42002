package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/warmcache/warmcache/bench/host"
)

// roles are the processes that the test binary can act as.
var roles = map[string]func(){
	"function":  func() { lambda.Start(handle) },
	"echo":      func() { lambda.Start(func(s string) (string, error) { return s, nil }) },
	"slow-init": func() { time.Sleep(slowInit); lambda.Start(handle) },
	"slow-restart": func() {
		if hasMarker() {
			time.Sleep(must(time.ParseDuration(os.Getenv("RESTART"))))
		}
		lambda.Start(handle)
	},
	"held-init": func() { hold(os.Getenv("GATE")); lambda.Start(handle) },
	"dies":      func() { fmt.Fprintln(os.Stderr, "no database"); os.Exit(7) },
	"silent":    func() { select {} },
	"reports":   reportInitError,
	"counter":   func() { lambda.Start(countCalls) },
	"child":     func() { hold(os.Args[1]) },
	"host":      hostUntilKilled,

	"action":      func() { actionLoop(act) },
	"echo-action": func() { actionLoop(func(a activation) any { return a.Value }) },
	"slow-ack":    func() { time.Sleep(slowInit); actionLoop(act) },
	"bad-ack":     func() { fmt.Fprintln(resultPipe(), `{"ok":false}`); select {} },
	"no-ack":      func() { fmt.Fprintln(resultPipe(), "Hello!"); select {} },
	"counter-action": func() {
		actionLoop(func(a activation) any { return must(countCalls(a.Value["say"].(string))) })
	},
}

const slowInit = time.Second

// command is the event of the test function.
type command struct {
	Do  string
	Arg string // the address of a gate, or an error's text
}

// report is its answer to most commands.
type report struct {
	Count  int  // invocations of this process
	Marker bool // an earlier invocation of any process left its marker in the temporary directory
	Gap    time.Duration
	Env    []string
	Dir    string
	Ctx    lambdacontext.LambdaContext
	Left   time.Duration // until the deadline
	End    time.Time     // the deadline, of an action
	Line   string        // of input, of an action
	Tmp    string
}

var count atomic.Int64

func handle(ctx context.Context, c command) (any, error) {
	r := report{Count: int(count.Add(1)), Marker: leaveMarker()}
	switch c.Do {
	case "panic":
		panic(c.Arg)
	case "exit":
		os.Exit(3)
	case "exit-0":
		os.Exit(0)
	case "kill":
		self, _ := os.FindProcess(os.Getpid())
		_ = self.Kill()
		select {}
	case "error":
		return nil, errors.New(c.Arg)
	case "print":
		fmt.Println(c.Arg)
	case "hold":
		hold(c.Arg)
	case "watch":
		r.Gap = largestGap(c.Arg)
	case "child":
		return r, startChild(c.Arg, func(*exec.Cmd) {})
	case "daemon":
		return r, startChild(c.Arg, detach)
	case "stream":
		return &stream{strings.NewReader(c.Arg)}, nil
	case "broken-stream":
		return &stream{io.MultiReader(strings.NewReader(c.Arg), broken{})}, nil
	case "large":
		return bytes.NewReader(make([]byte, 6<<20+101)), nil
	case "environment":
		r.describe(ctx)
	}
	return r, nil
}

func marker() string { return filepath.Join(os.TempDir(), "marker") }

func hasMarker() bool {
	_, err := os.Stat(marker())
	return err == nil
}

func leaveMarker() (was bool) {
	was = hasMarker()
	if err := os.WriteFile(marker(), nil, 0o600); err != nil {
		panic(err)
	}
	return was
}

// hold tells the gate that it has arrived and waits until the gate opens or the
// test has ended.
func hold(gate string) {
	c := knock(gate)
	defer c.Close()
	_, _ = c.Read(make([]byte, 1))
}

func knock(gate string) net.Conn {
	c, err := net.Dial("tcp", gate)
	if err != nil {
		panic(err)
	}
	return c
}

// largestGap reads the clock until the gate has opened, and once more.
func largestGap(gate string) (gap time.Duration) {
	last := time.Now()
	look := func() {
		now := time.Now()
		gap, last = max(gap, now.Sub(last)), now
	}
	opened := make(chan struct{})
	go func() { hold(gate); close(opened) }()
	for {
		select {
		case <-opened:
			look()
			return gap
		default:
			look()
		}
	}
}

// startChild leaves a process behind that holds the gate.
func startChild(gate string, as func(*exec.Cmd)) error {
	child := exec.Command(os.Args[0], gate)
	child.Env = []string{roleVariable + "=child", "TMPDIR=" + os.TempDir()}
	as(child)
	return child.Start()
}

// detach makes a child leave the function's process group, where that exists.
var detach func(*exec.Cmd)

// stream is a response without a Content-Length. Its field must be unexported:
// aws-lambda-go sends a value as JSON if it can, before it checks for a Reader.
type stream struct{ r io.Reader }

func (s *stream) Read(p []byte) (int, error) { return s.r.Read(p) }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

func (r *report) describe(ctx context.Context) {
	r.Env = os.Environ()
	r.Dir, _ = os.Getwd()
	lc, _ := lambdacontext.FromContext(ctx)
	r.Ctx = *lc
	deadline, _ := ctx.Deadline()
	r.Left = time.Until(deadline)
}

// reportInitError is a runtime that is not aws-lambda-go and reports why it cannot
// start.
func reportInitError() {
	body, _ := json.Marshal(host.FunctionError{Type: "NoSuchHandler", Message: "no handler named x"})
	url := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/init/error"
	res, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil || res.StatusCode != http.StatusAccepted {
		panic(fmt.Sprint("init/error: ", res, err))
	}
	os.Exit(1)
}

var calls int

// countCalls is the function of the example.
func countCalls(event string) (map[string]int, error) {
	calls++
	f, err := os.CreateTemp("", "call-")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if event == "panic" {
		os.Remove(f.Name())
		panic("out of luck")
	}
	files, err := os.ReadDir(os.TempDir())
	return map[string]int{"calls": calls, "files": len(files)}, err
}

// hostUntilKilled is a host that dies in the middle of an invocation.
func hostUntilKilled() {
	env, err := testFunction("function").Environment()
	if err != nil {
		panic(err)
	}
	fmt.Println(env.Tmp())
	event, _ := json.Marshal(command{Do: "hold", Arg: os.Args[1]})
	_, err = env.Invoke(context.Background(), event)
	panic(fmt.Sprint("still alive: ", err))
}
