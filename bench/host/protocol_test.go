package host_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/bench/host"
)

func TestVariables(t *testing.T) {
	t.Setenv("HOST_TEST_SECRET", "not for the function")
	l := testFunction("function")
	l.Name, l.Version, l.MemoryMB, l.Handler = "orders", "7", 512, "function.handler"
	l.Env = append(l.Env, "AWS_REGION=eu-central-1")
	e := open(t, l)
	r := decode(t, e.invoke(command{Do: "environment"}))
	dir := filepath.Dir(os.Args[0])
	for _, want := range []string{
		"AWS_LAMBDA_FUNCTION_NAME=orders",
		"AWS_LAMBDA_FUNCTION_VERSION=7",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/orders",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_REGION=eu-central-1",
		"LAMBDA_TASK_ROOT=" + dir,
		"LD_LIBRARY_PATH=/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:" + dir + ":" + dir + "/lib:/opt/lib",
		"_HANDLER=function.handler",
		"TZ=:UTC",
		"PATH=/usr/local/bin:/usr/bin/:/bin:/opt/bin",
		"TMPDIR=" + e.Tmp(),
	} {
		if !slices.Contains(r.Env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	for _, v := range r.Env {
		for _, never := range []string{"HOST_TEST_SECRET=", "HOME=", "AWS_EXECUTION_ENV="} {
			if strings.HasPrefix(v, never) {
				t.Errorf("the function sees %s", v)
			}
		}
	}
	if r.Dir != dir {
		t.Errorf("working directory %s", r.Dir)
	}
}

// There is one log stream per environment, even if its process is replaced.
func TestLogStream(t *testing.T) {
	t.Parallel()
	stream := func(e environment) string {
		for _, v := range decode(t, e.invoke(command{Do: "environment"})).Env {
			if name, ok := strings.CutPrefix(v, "AWS_LAMBDA_LOG_STREAM_NAME="); ok {
				return name
			}
		}
		return ""
	}
	one, other := open(t, testFunction("function")), open(t, testFunction("function"))
	first := stream(one)
	one.Crash()
	if again := stream(one); first == "" || again != first {
		t.Errorf("%q, then %q", first, again)
	}
	if stream(other) == first {
		t.Error("two environments share a log stream")
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	event, _ := json.Marshal(command{Do: "environment"})
	res, err := e.Do(t.Context(), host.Request{
		Event:           event,
		ID:              "id-1",
		TenantID:        "blue",
		TraceID:         "Root=1-2-3",
		ClientContext:   `{"custom":{"k":"v"}}`,
		CognitoIdentity: `{"cognitoIdentityId":"somebody"}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := decode(t, res)
	if res.RequestID != "id-1" || r.Ctx.AwsRequestID != "id-1" || r.Ctx.TenantID != "blue" ||
		!strings.HasSuffix(r.Ctx.InvokedFunctionArn, ":function:function") ||
		r.Ctx.ClientContext.Custom["k"] != "v" || r.Ctx.Identity.CognitoIdentityID != "somebody" ||
		!slices.Contains(r.Env, "_X_AMZN_TRACE_ID=Root=1-2-3") {
		t.Errorf("%s: %+v", res.RequestID, r)
	}
	if r.Left <= 0 || r.Left > time.Minute {
		t.Errorf("%v until the deadline", r.Left)
	}
}

func TestEventTooLarge(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	if _, err := e.Invoke(t.Context(), make([]byte, 6<<20+1)); err == nil || e.Pid() != 0 {
		t.Error(err)
	}
}

func TestStreamedResponse(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	text := strings.Repeat("0123456789", 100_000)
	if res := e.invoke(command{Do: "stream", Arg: text}); string(res.Payload) != text || res.FunctionError != nil {
		t.Errorf("%d bytes, %v", len(res.Payload), res.FunctionError)
	}
	e.expect(host.Warm, 2, true)
}

func TestStreamedResponseBreaks(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	res := e.invoke(command{Do: "broken-stream", Arg: "the first half"})
	if f := res.FunctionError; f == nil || f.Type != "errorString" || f.Message != "the disk is gone" || string(res.Payload) != "the first half" {
		t.Errorf("%q, %v", res.Payload, f)
	}
	e.expect(host.Warm, 2, true)
}

func TestResponseTooLarge(t *testing.T) {
	t.Parallel()
	e := open(t, testFunction("function"))
	res := e.invoke(command{Do: "large"})
	if f := res.FunctionError; f == nil || f.Type != host.ErrorTooLarge || res.Payload != nil {
		t.Errorf("%v", f)
	}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	var written logs
	l := testFunction("function")
	l.Logs = &written
	e := open(t, l)
	e.invoke(command{Do: "print", Arg: "hello"})
	e.invoke(command{Do: "panic", Arg: "boom"}) // which flushes
	if got := written.String(); !strings.Contains(got, "hello\n") || !strings.Contains(got, "boom") {
		t.Errorf("logs %q", got)
	}
}
