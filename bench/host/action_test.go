package host_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// activation is a line of input as OpenWhisk's launcher for Go reads it.
type activation struct {
	Value map[string]any
	line  string
}

func resultPipe() *os.File { return os.NewFile(3, "pipe") }

// actionLoop imitates that launcher: it answers each line with a line.
func actionLoop(main func(activation) any) {
	out := resultPipe()
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		fmt.Fprintln(out, `{"ok":true}`)
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Fprintf(out, "%s\n", must(json.Marshal(main(parseActivation(line)))))
	}
}

func parseActivation(line string) activation {
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		panic(err)
	}
	for k, v := range fields {
		if s, ok := v.(string); ok {
			os.Setenv("__OW_"+strings.ToUpper(k), s)
		}
	}
	value, _ := fields["value"].(map[string]any)
	return activation{value, line}
}

// act is the test action: the test function plus faults that only actions have.
func act(a activation) any {
	var c command
	if err := json.Unmarshal(must(json.Marshal(a.Value)), &c); err != nil {
		panic(err)
	}
	switch c.Do {
	case "environment":
		dir, _ := os.Getwd()
		return report{Env: os.Environ(), Dir: dir, Left: time.Until(actionDeadline()), End: actionDeadline(), Line: a.line, Tmp: os.TempDir()}
	case "write":
		fmt.Fprint(resultPipe(), c.Arg)
		select {}
	case "answer-and-die":
		fmt.Fprintln(resultPipe(), c.Arg)
		_, err := handle(context.Background(), command{Do: "kill"})
		return err
	case "answer-twice":
		fmt.Fprintln(resultPipe(), c.Arg)
	case "hang-up":
		resultPipe().Close()
		select {}
	case "large":
		n, _ := strconv.Atoi(c.Arg)
		return []string{strings.Repeat("x", n-len("[\"\"]\n"))}
	case "array":
		return []string{c.Arg}
	case "no-dictionary":
		return c.Arg
	case "whisk-error":
		return map[string]any{"error": json.RawMessage(c.Arg), "more": 1}
	}
	return must(handle(context.Background(), c))
}

func actionDeadline() time.Time {
	ms, err := strconv.ParseInt(os.Getenv("__OW_DEADLINE"), 10, 64)
	if err != nil {
		panic(err)
	}
	return time.UnixMilli(ms)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
