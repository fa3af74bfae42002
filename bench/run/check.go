package run

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"github.com/warmcache/warmcache/bench/host"
)

// check says what is wrong with a program before it fails to start: the system's
// own word for most of it is "exec format error".
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("run: there is no %s: build it first, for example with 'go build -o %s .'", path, path)
	case err != nil:
		return fmt.Errorf("run: %w", err)
	case info.IsDir():
		return fmt.Errorf("run: %s is a directory: name the program in it", path)
	case bytes.Equal(head(path), []byte("PK\x03\x04")):
		return fmt.Errorf("run: %s is a zip: unpack it, and name the program in it", path)
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Errorf("run: %s is not executable: chmod +x %s", path, path)
	}
	f, err := elf.Open(path)
	if err != nil {
		return nil // a script, or a program for another system: the start decides
	}
	defer f.Close()
	processor := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm"}[f.Machine]
	if processor != "" && processor != runtime.GOARCH || runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return fmt.Errorf("run: %s is built for linux/%s, and this machine is %s/%s: build it with GOOS=%s GOARCH=%s",
			path, processor, runtime.GOOS, runtime.GOARCH, runtime.GOOS, runtime.GOARCH)
	}
	return nil
}

func head(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 4)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// startError says why the function's process never waited for an event.
type startError struct {
	*host.FunctionError
	output string
}

func (e startError) Error() string {
	if e.output == "" {
		return e.FunctionError.Error()
	}
	return e.FunctionError.Error() + "; its output ends with:\n" + e.output
}

// explain adds to the error of a function that does not run the way out.
func (s *settings) explain(err error) error {
	var f startError
	var why, hint string
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		why = s.binary + " is not an executable for this machine"
	case errors.Is(err, fs.ErrNotExist): // check has found the program itself
		why = "a file that " + s.binary + " needs to start is missing, its interpreter or its dynamic loader (CGO_ENABLED=0 does without)"
	case !errors.As(err, &f):
		return fmt.Errorf("run: %s", s.redact(err.Error()))
	default:
		hint = "\n" + s.protocolHint()
		why = map[string]string{
			host.ErrorTimeout:   s.binary + " started and then was silent",
			host.ErrorMalformed: s.binary + " does not speak the ActionLoop",
			host.ErrorStart:     "OpenWhisk would not start " + s.binary,
		}[f.Type]
		if why == "" {
			why = s.binary + " ended before its first event"
		}
	}
	return fmt.Errorf("run: %s: %s%s", why, s.redact(err.Error()), hint)
}

func (s *settings) protocolHint() string {
	if s.host == "openwhisk" {
		return `An OpenWhisk action writes {"ok":true} to file descriptor 3 when it is ready, within -timeout, and waits for lines on stdin.
If it is a Lambda function, leave out -host openwhisk. Set the variables that its init needs with -env.`
	}
	return `A Lambda function asks the Runtime API for its first event within -init-timeout: with aws-lambda-go that is lambda.Start in main.
If it is an OpenWhisk action, say -host openwhisk. Set the variables that its init needs with -env.`
}
