package redistier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// isAboutKey reports whether err is the reply of a healthy server that refuses a single
// command: the key has another type, the memory is full, or the access rules exclude the
// key. Such replies come at once, and other keys are not affected. Redis before 7 puts
// the error of a script's command in the middle of the reply.
func isAboutKey(err error) bool {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return false
	}
	text := reply.Error()
	return strings.HasPrefix(text, "OOM ") || strings.Contains(text, "WRONGTYPE ") ||
		strings.HasPrefix(text, "NOPERM ") && strings.Contains(text, " key")
}

func isWrongType(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply) && strings.HasPrefix(reply.Error(), "WRONGTYPE ")
}

// withoutSecrets returns an error that contains no text of the server or of the client's
// configuration. A server repeats the arguments of commands that it does not know, such
// as AUTH.
func withoutSecrets(err error) error {
	var reply redis.Error
	var number syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, redis.ErrPoolTimeout):
		return errTimeout
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, &number):
		return fmt.Errorf("redistier: connection: %w", number)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errClosed
	case errors.As(err, &reply):
		return fmt.Errorf("redistier: the server replied with the error %s", code(reply.Error()))
	default:
		return fmt.Errorf("redistier: the client failed with a %T", err)
	}
}

var (
	errTimeout = fmt.Errorf("redistier: no answer in time: %w", context.DeadlineExceeded)
	errClosed  = errors.New("redistier: the server closed the connection")
)

// code returns the first word of an error reply, its kind.
func code(reply string) string {
	word, _, _ := strings.Cut(reply, " ")
	if word == "" || len(word) > 20 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "an error of no known kind"
	}
	return word
}
