package run

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/warmcache/warmcache/bench/host"
)

// explain adds what to do to the error of a function that does not run.
func (s *settings) explain(err error) error {
	var f *host.FunctionError
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("run: %s is no program that this machine can run: %w", s.binary, err)
	case errors.Is(err, fs.ErrNotExist): // the program itself has been looked at
		return fmt.Errorf("run: what %s needs to start is not there, its interpreter or its dynamic loader (CGO_ENABLED=0 does without): %w", s.binary, err)
	case !errors.As(err, &f):
		return fmt.Errorf("run: %w", err)
	case f.Type == host.ErrorTimeout:
		return fmt.Errorf("run: %s started and then was silent: %w\n%s", s.binary, err, s.protocolHint())
	case f.Type == host.ErrorMalformed:
		return fmt.Errorf("run: %s does not speak the ActionLoop: %w\n%s", s.binary, err, s.protocolHint())
	}
	return fmt.Errorf("run: %s ended before its first event: %w\n%s", s.binary, err, s.protocolHint())
}

func (s *settings) protocolHint() string {
	if s.host == "openwhisk" {
		return `An OpenWhisk action writes {"ok":true} to file descriptor 3 when it is ready, within -timeout, and waits for lines on stdin.
If it is a Lambda function, leave out -host openwhisk. What its init needs from the environment is set with -env.`
	}
	return `A Lambda function asks the Runtime API for its first event within -init-timeout: with aws-lambda-go that is lambda.Start in main.
If it is an OpenWhisk action, say -host openwhisk. What its init needs from the environment is set with -env.`
}
