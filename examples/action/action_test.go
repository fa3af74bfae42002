package action

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"
)

// If this variable is set, the test binary runs as the action.
const isAction = "ACTION_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(isAction) != "" {
		Run(handle)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

type in struct {
	Do string `json:"do"`
	N  int64  `json:"n"`
}

type out struct {
	N          int64             `json:"n"`
	Text       string            `json:"text"`
	Tenant, ID string            `json:",omitempty"`
	Left       time.Duration     `json:",omitempty"`
	Endless    bool              `json:",omitempty"`
	Variables  map[string]string `json:",omitempty"`
}

func handle(ctx context.Context, i in) (any, error) {
	switch i.Do {
	case "fail":
		return nil, errors.New("out of \"stock\"\n")
	case "panic":
		panic("out of luck")
	case "text":
		return "a text", nil
	case "null":
		return nil, nil
	case "array":
		return []int64{i.N}, nil
	case "unencodable":
		return func() {}, nil
	case "print":
		fmt.Println(`{"stray":true}`)
	case "child":
		return fd3InChild(), nil
	case "tell":
		return tell(ctx), nil
	}
	return out{N: i.N, Text: "<a&b>"}, nil
}

func tell(ctx context.Context) out {
	o := out{Tenant: Tenant(ctx), ID: ID(ctx), Variables: map[string]string{}}
	deadline, ok := ctx.Deadline()
	o.Endless = !ok
	if ok {
		o.Left = time.Until(deadline)
	}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "__OW_") {
			o.Variables[name] = value
		}
	}
	return o
}

func fd3InChild() []string {
	b, err := exec.Command("/bin/sh", "-c", "echo x >&3").CombinedOutput()
	return []string{fmt.Sprint(err != nil, len(b) > 0)}
}

// process is an action as OpenWhisk runs it, with stdin, file descriptor 3 and its
// own environment only.
type process struct {
	*exec.Cmd
	t       *testing.T
	stdin   io.WriteCloser
	results *bufio.Reader
	logs    *strings.Builder
}

func start(t *testing.T, variables ...string) *process {
	t.Helper()
	return startProgram(t, os.Args[0], append(variables, isAction+"=1")...)
}

func startProgram(t *testing.T, program string, variables ...string) *process {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("needs Unix: file descriptor 3 cannot be handed to a process here")
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = variables
	p := &process{Cmd: cmd, t: t, logs: new(strings.Builder)}
	cmd.Stdout, cmd.Stderr = p.logs, p.logs
	var err error
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p.results, cmd.ExtraFiles = bufio.NewReader(r), []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return p
}

// read returns the next line of results, or "" at the end.
func (p *process) read() string {
	p.t.Helper()
	line, err := p.results.ReadString('\n')
	if err != nil && err != io.EOF {
		p.t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (p *process) ask(line string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	return p.read()
}

// end closes stdin and returns the exit status and the logs.
func (p *process) end() (int, string) {
	p.t.Helper()
	p.stdin.Close()
	if err := p.Wait(); err != nil && p.ProcessState == nil {
		p.t.Fatal(err)
	}
	if rest, _ := io.ReadAll(p.results); len(rest) > 0 {
		p.t.Errorf("more results: %q", rest)
	}
	return p.ProcessState.ExitCode(), p.logs.String()
}

func TestActionLoop(t *testing.T) {
	p := start(t, "__OW_WAIT_FOR_ACK=1")
	if got := p.read(); got != `{"ok":true}` {
		t.Fatalf("acknowledged with %q", got)
	}
	for _, tt := range []struct{ line, want string }{
		{`{"value":{"n":9007199254740993}}`, `{"n":9007199254740993,"text":"<a&b>"}`}, // a float64 would lose digits
		{`{}`, `{"n":0,"text":"<a&b>"}`},
		{`{"value":{"do":"array","n":7}}`, `[7]`},
		{`{"value":{"do":"print"}}`, `{"n":0,"text":"<a&b>"}`}, // goes to the logs
		{`{"value":{"do":"fail"}}`, `{"error":"out of \"stock\"\n"}`},
		{`{"value":{"do":"text"}}`, `{"error":"action: the answer is \"a text\", which is no JSON object or array"}`},
		{`{"value":{"do":"null"}}`, `{"error":"action: the answer is null, which is no JSON object or array"}`},
		{`{"value":{"do":"unencodable"}}`, `{"error":"action: encode the answer: json: unsupported type: func()"}`},
		{`{"value":{"do":"child"}}`, `["true true"]`}, // a child does not inherit file descriptor 3
		{`{"value":{"n":"seven"}}`, `{"error":"action: decode the event: json: cannot unmarshal string into Go struct field in.n of type int64"}`},
		{`{"value":`, `{"error":"action: not an activation: unexpected end of JSON input"}`},
		{`{"value":{"n":1},"namespace":["not text"]}`, `{"n":1,"text":"<a&b>"}`},
	} {
		if got := p.ask(tt.line); got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.line, got, tt.want)
		}
	}
	if code, logs := p.end(); code != 0 || logs != "{\"stray\":true}\n" {
		t.Errorf("exit status %d, logs %q", code, logs)
	}
}

// Each activation has its own context and variables.
func TestContextOfAnActivation(t *testing.T) {
	p := start(t, "__OW_NAMESPACE=acme", "__OW_ACTION_NAME=/acme/quote")
	deadline := time.Now().Add(time.Hour)
	activation := func(namespace, id, deadline string) (o out) {
		t.Helper()
		line := fmt.Sprintf(`{"value":{"do":"tell"},"namespace":%q,"activation_id":%q%s}`, namespace, id, deadline)
		if err := json.Unmarshal([]byte(p.ask(line)), &o); err != nil {
			t.Fatal(err)
		}
		return o
	}
	ms := strconv.FormatInt(deadline.UnixMilli(), 10)
	var o out
	for _, form := range []string{ms, `"` + ms + `"`} {
		o = activation("acme", "id-1", `,"deadline":`+form)
		if o.Tenant != "acme" || o.ID != "id-1" || o.Endless || o.Left > time.Hour || o.Left < 50*time.Minute {
			t.Errorf("deadline %s: %+v", form, o)
		}
	}
	if o.Variables["__OW_ACTION_NAME"] != "/acme/quote" || o.Variables["__OW_ACTIVATION_ID"] != "id-1" {
		t.Errorf("%v", o.Variables)
	}
	for _, none := range []string{"", `,"deadline":"soon"`, `,"deadline":null`} {
		if o := activation("blue", "id-2", none); o.Tenant != "blue" || o.ID != "id-2" || !o.Endless {
			t.Errorf("%+v", o)
		}
	}
	p.end()
}

// OpenWhisk regards a process that answers as healthy, so one that panics must not
// answer.
func TestPanicAnswersNothing(t *testing.T) {
	p := start(t, "__OW_API_HOST=x")
	if got := p.ask(`{"value":{"do":"panic"}}`); got != "" {
		t.Errorf("answer %q", got)
	}
	if code, logs := p.end(); code != 2 || !strings.Contains(logs, "out of luck") {
		t.Errorf("exit status %d, logs %q", code, logs)
	}
}

// An incomplete line is not an activation.
func TestEndOfInput(t *testing.T) {
	p := start(t, "__OW_API_HOST=x")
	if _, err := io.WriteString(p.stdin, `{"value":{"n":1}}`); err != nil {
		t.Fatal(err)
	}
	if code, logs := p.end(); code != 0 || logs != "" {
		t.Errorf("exit status %d, logs %q", code, logs)
	}
}

func TestNoHost(t *testing.T) {
	p := start(t, "HOME=/root")
	if code, logs := p.end(); code != 2 || !strings.Contains(logs, "runs on neither") {
		t.Errorf("exit status %d, logs %q", code, logs)
	}
}

func TestLoopSaysWhatBroke(t *testing.T) {
	echo := func(_ context.Context, b []byte) []byte { return b }
	broken := errors.New("broken")
	r, w := io.Pipe()
	r.CloseWithError(broken)
	if err := loop(strings.NewReader(`{"value":{}}`+"\n"), w, echo); !errors.Is(err, broken) || !strings.Contains(err.Error(), "write an answer") {
		t.Error(err)
	}
	t.Setenv("__OW_WAIT_FOR_ACK", "1")
	if err := loop(strings.NewReader(""), w, echo); !errors.Is(err, broken) || !strings.Contains(err.Error(), "acknowledge") {
		t.Error(err)
	}
	r, w = io.Pipe()
	w.CloseWithError(broken)
	if err := loop(r, io.Discard, echo); !errors.Is(err, broken) || !strings.Contains(err.Error(), "read an activation") {
		t.Error(err)
	}
}

// The form that OpenWhisk compiles: its launcher sets variables and calls Main.
func TestMainForm(t *testing.T) {
	Main := Main(handle)
	for name, value := range map[string]string{
		"__OW_NAMESPACE": "acme", "__OW_ACTIVATION_ID": "id-1",
		"__OW_DEADLINE": strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10),
	} {
		t.Setenv(name, value)
	}
	for _, tt := range []struct {
		parameters map[string]any
		want       string
	}{
		{map[string]any{"n": 7.0}, `{"n":7,"text":"<a&b>"}`},
		{nil, `{"n":0,"text":"<a&b>"}`},
		{map[string]any{"do": "fail"}, `{"error":"out of \"stock\"\n"}`},
		{map[string]any{"do": "array"}, `{"error":"action: the answer is an array, for which this form has no room"}`},
		{map[string]any{"n": func() {}}, `{"error":"json: unsupported type: func()"}`},
	} {
		got, err := encode(Main(tt.parameters))
		if err != nil || string(got) != tt.want {
			t.Errorf("%v: %s, %v, want %s", tt.parameters, got, err, tt.want)
		}
	}
	told := Main(map[string]any{"do": "tell"})
	left, err := told["Left"].(json.Number).Int64()
	if told["Tenant"] != "acme" || told["ID"] != "id-1" || err != nil || time.Duration(left) < 50*time.Minute {
		t.Errorf("%v", told)
	}
}

func TestOnLambda(t *testing.T) {
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: "blue", AwsRequestID: "id-1"})
	if Tenant(ctx) != "blue" || ID(ctx) != "id-1" {
		t.Errorf("%q, %q", Tenant(ctx), ID(ctx))
	}
	if Tenant(t.Context()) != "" || ID(t.Context()) != "" {
		t.Error("a tenant or an ID without a host")
	}
}
