package reuse_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/warmcache/warmcache/reuse"
)

// A function logs its first two invocations.
func Example() {
	defer inNewContainer()()
	reused := reuse.New() // a package-level variable in a real function
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: stable}))

	for range 2 {
		inv := reused.Begin() // the first thing in a handler
		logger.Info("quote", "reuse", inv, "hits", inv.Number-1)
	}
	// Output:
	// msg=quote reuse.start=cold reuse.number=1 hits=0
	// msg=quote reuse.start=warm reuse.number=2 hits=1
}

// Begin is the first call of a handler. Log the start kind, but do not depend on it.
func ExampleRecorder_Begin() {
	defer inNewContainer()()
	reused := reuse.New() // a package-level variable in a real function
	for range 2 {
		inv := reused.Begin()
		fmt.Println(inv.Start, inv.Number)
	}
	// Output:
	// cold 1
	// warm 2
}

// After a pause of the machine, idle connections may be dead.
func ExampleInvocation_Thawed() {
	defer inNewContainer()()
	reused := reuse.New()
	for range 2 {
		if inv := reused.Begin(); inv.Thawed() {
			http.DefaultClient.CloseIdleConnections()
			fmt.Println("paused for", inv.Pause)
		} else {
			fmt.Println("not paused")
		}
	}
	// Output:
	// not paused
	// not paused
}

// An Invocation is a group of attributes for slog.
func ExampleInvocation_LogValue() {
	defer inNewContainer()()
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: stable}))
	logger.Info("done", "reuse", reuse.New().Begin())
	// Output: {"msg":"done","reuse":{"start":"cold","number":1}}
}

// Logs and metrics use the names of the start kinds.
func ExampleStart_String() {
	for _, s := range []reuse.Start{reuse.Unknown, reuse.Cold, reuse.Restarted, reuse.Warm} {
		fmt.Println(s.String())
	}
	// Output:
	// unknown
	// cold
	// restarted
	// warm
}

// CloudWatch makes metrics of this line.
func ExampleInvocation_EMF() {
	defer inNewContainer()()
	inv := reuse.New().Begin()
	var line strings.Builder
	err := inv.EMF(&line, "Shop", map[string]string{"function": "quote"},
		slog.Any("products", map[string]int64{"hits": 41, "misses": 1})) // yours: products.Stats()
	if err != nil {
		slog.Warn("metrics", "err", err)
	}
	fmt.Print(regexp.MustCompile(`("Timestamp"|"age"):[0-9.]+`).ReplaceAllString(line.String(), "$1:0"))
	// Output:
	// {"_aws":{"Timestamp":0,"CloudWatchMetrics":[{"Namespace":"Shop","Dimensions":[["function"]],"Metrics":[{"Name":"cold","Unit":"Count"},{"Name":"restarted","Unit":"Count"},{"Name":"warm","Unit":"Count"},{"Name":"age","Unit":"Milliseconds"},{"Name":"products.hits","Unit":"Count"},{"Name":"products.misses","Unit":"Count"}]}]},"function":"quote","start":"cold","number":1,"cold":1,"restarted":0,"warm":0,"age":0,"products.hits":41,"products.misses":1}
}

// stable removes attributes that differ from run to run.
func stable(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey, "age", "gap":
		return slog.Attr{}
	}
	return a
}

// inNewContainer stands for a host that starts a new container.
func inNewContainer() (end func()) {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	old, was := os.LookupEnv("TMPDIR")
	os.Setenv("TMPDIR", dir)
	return func() {
		os.Setenv("TMPDIR", old)
		if !was {
			os.Unsetenv("TMPDIR")
		}
		os.RemoveAll(dir)
	}
}
