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

// withoutSecrets says what went wrong without a word of the server's or of the
// client's configuration: a server repeats the arguments of a command that it does
// not know, and AUTH may be one.
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
		return fmt.Errorf("redistier: the server answers %s", code(reply.Error()))
	default:
		return fmt.Errorf("redistier: the client fails with a %T", err)
	}
}

var (
	errTimeout = fmt.Errorf("redistier: no answer in time: %w", context.DeadlineExceeded)
	errClosed  = errors.New("redistier: the server closed the connection")
)

// code is the first word of an error reply, which tells its kind.
func code(reply string) string {
	word, _, _ := strings.Cut(reply, " ")
	if word == "" || len(word) > 20 || strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "an error of no known kind"
	}
	return word
}
