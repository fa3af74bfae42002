package host

import (
	"io"
	"strings"
	"sync"
)

// output passes on what a function prints and keeps the end of it: when a
// process dies before it can say why, that is where it said it.
type output struct {
	to io.Writer // may be nil

	mu   sync.Mutex
	last []byte
}

const outputKept = 1024

// Write never fails: an error would close the pipe, and the function's next
// line of log would kill it.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.last = append(o.last, p...)
	if n := len(o.last); n > outputKept {
		o.last = append(o.last[:0], o.last[n-outputKept:]...)
	}
	o.mu.Unlock()
	if o.to != nil {
		_, _ = o.to.Write(p)
	}
	return len(p), nil
}

// tail returns the end of the output, to be appended to an error message.
func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.last) == 0 {
		return ""
	}
	return "; its output ends with:\n" + strings.TrimSpace(string(o.last))
}
