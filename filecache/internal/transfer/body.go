package transfer

import (
	"context"
	"errors"
	"io"
	"sync"
)

// body reads the bytes of one version of an object up to end, and resumes when
// the connection breaks, which clients do not do by themselves.
type body struct {
	*transfer
	ctx         context.Context // of what it asks for
	offset, end int64
	resumes     int // how often it may

	mu     sync.Mutex
	answer io.ReadCloser // changed only by the reader
	closed bool          // the answer
	over   bool          // Close was called
}

// maxResumes is how often a body may break.
const maxResumes = 2

func (t *transfer) body(ctx context.Context, answer io.ReadCloser, off, end int64) *body {
	return &body{transfer: t, ctx: ctx, answer: answer, offset: off, end: end, resumes: maxResumes}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.answer.Read(p)
	b.offset += int64(n)
	b.Version.came(n)
	if err == io.EOF && b.offset < b.end {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 && err != io.EOF {
		return n, nil // an error comes again
	}
	if err == nil || b.offset >= b.end {
		return n, err
	}
	if err := b.resume(err); err != nil {
		return 0, err
	}
	return 0, nil
}

// resume asks for the rest after cause.
func (b *body) resume(cause error) error {
	if b.resumes == 0 || b.Part == nil || b.ctx.Err() != nil {
		return cause
	}
	b.resumes--
	b.closeAnswer()
	answer, err := b.Part(b.ctx, b.offset, b.rest())
	if errors.Is(err, ErrChanged) {
		return err
	}
	if err != nil {
		return cause
	}
	if !b.goOn(answer) {
		answer.Close()
		return cause
	}
	return nil
}

// goOn makes answer the one that is read, unless the body was closed meanwhile.
func (b *body) goOn(answer io.ReadCloser) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	b.answer, b.closed = answer, false
	return true
}

// Close may be called while Read waits, which then returns.
func (b *body) Close() {
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.closeAnswer()
}

func (b *body) closeAnswer() {
	b.mu.Lock()
	answer, closed := b.answer, b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		answer.Close()
	}
}

// rest is the length of the range to ask for.
func (b *body) rest() int64 {
	if b.end == b.Size {
		return 0
	}
	return b.end - b.offset
}

// skipTo reads up to off.
func (b *body) skipTo(off int64) error {
	_, err := io.CopyN(io.Discard, b, off-b.offset)
	return err
}
