package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/warmcache/warmcache/bench/host"
)

// check detects common mistakes before the start, where their errors would be
// obscure.
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("run: there is no %s: build it first, for example with 'go build -o %s .'", path, path)
	case err != nil:
		return fmt.Errorf("run: %w", err)
	case info.IsDir():
		return fmt.Errorf("run: %s is a directory: name the program in it", path)
	case filepath.Ext(path) == ".zip":
		return fmt.Errorf("run: %s is a zip: unpack it, and name the program in it", path)
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0:
		return fmt.Errorf("run: %s is not executable: chmod +x %s", path, path)
	}
	return nil
}

// explain adds the way out to the error of a function that does not run.
func (s *settings) explain(err error) error {
	var f *host.FunctionError
	var why, hint string
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		why = fmt.Sprintf("%s is not an executable for this machine: build it with GOOS=%s GOARCH=%s", s.binary, runtime.GOOS, runtime.GOARCH)
	case errors.Is(err, fs.ErrNotExist): // check has found the program itself
		why = "a file that " + s.binary + " needs to start is missing, its interpreter or its dynamic loader (CGO_ENABLED=0 does without)"
	case !errors.As(err, &f):
		return fmt.Errorf("run: %s", s.redact(err.Error()))
	default:
		hint = "\n" + s.protocolHint()
		why = map[string]string{
			host.ErrorTimeout:   s.binary + " started, but was silent",
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
	return `A Lambda function requests its first event from the Runtime API within -init-timeout; with aws-lambda-go, lambda.Start in main does.
If it is an OpenWhisk action, use -host openwhisk. Set the variables that its init needs with -env.`
}
