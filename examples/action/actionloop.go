package action

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
)

// results is the file descriptor from which OpenWhisk reads the answers. Stdout is
// for logs.
func results() *os.File {
	const fd = 3
	syscall.CloseOnExec(fd) // child processes must not inherit it
	return os.NewFile(fd, "results")
}

// loop implements the ActionLoop protocol: it reads a line of JSON for each
// activation and writes a line with its answer, one after the other. It returns nil
// at the end of in, which is how the host stops an action.
//
// https://github.com/apache/openwhisk-runtime-actionloop
func loop(in io.Reader, out io.Writer, answer func(context.Context, []byte) []byte) error {
	if os.Getenv("__OW_WAIT_FOR_ACK") != "" {
		if _, err := io.WriteString(out, "{\"ok\":true}\n"); err != nil {
			return fmt.Errorf("acknowledge the start: %w", err)
		}
	}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil // an incomplete line is not an activation
		}
		if err != nil {
			return fmt.Errorf("read an activation: %w", err)
		}
		if _, err := out.Write(append(activate(line, answer), '\n')); err != nil {
			return fmt.Errorf("write an answer: %w", err)
		}
	}
}

// activate answers one line.
func activate(line []byte, answer func(context.Context, []byte) []byte) []byte {
	a, err := parseActivation(line)
	if err != nil {
		return failure(err)
	}
	a.setVariables()
	ctx, cancel := a.context()
	defer cancel()
	return answer(ctx, a.value)
}
