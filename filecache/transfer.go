package filecache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// transfer is the receiving of one version of an object.
type transfer struct {
	cache *Cache
	ctx   context.Context
	abort context.CancelFunc // of all its requests and bodies
	obj   Object
	object
	first    *body // of the answer that told what the object is
	to       *sink
	sum      *blocks.Digest
	progress progress
}

// inOrder receives the object from the first answer alone.
func (t *transfer) inOrder() error {
	if t.to.full() {
		return errNoRoom
	}
	if err := pump(t.to, 0, t.size, t.first, t.sum, t.progress.saw); err != nil {
		return err
	}
	if n, _ := t.first.Read(make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: there are more than %d bytes", ErrChecksum, t.size)
	}
	return nil
}

// pump moves size bytes from src past sum to dst, where they begin at off.
func pump(dst *sink, off, size int64, src io.Reader, sum *blocks.Digest, saw func(bytes int)) error {
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for done := int64(0); done < size; {
		p := (*buf)[:min(int64(len(*buf)), size-done)]
		if _, err := io.ReadFull(src, p); err != nil {
			return err
		}
		sum.Write(p)
		if _, err := dst.WriteAt(p, off+done); err != nil {
			return err
		}
		done += int64(len(p))
		saw(len(p))
	}
	return nil
}

// body reads the bytes of one version of an object up to end, and resumes when
// the connection breaks, which clients do not do by themselves.
type body struct {
	*transfer
	ctx         context.Context // of what it asks for
	offset, end int64
	resumes     int // how often it may

	mu     sync.Mutex
	resp   *Response // changed only by who reads
	closed bool      // resp's Body
	over   bool      // Close was called
}

// maxResumes is how often a body may break.
const maxResumes = 2

func (t *transfer) body(ctx context.Context, resp *Response, off, end int64) *body {
	return &body{transfer: t, ctx: ctx, resp: resp, offset: off, end: end, resumes: maxResumes}
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.resp.Body.Read(p)
	b.offset += int64(n)
	b.cache.stats.originBytes.Add(int64(n))
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
	if b.resumes == 0 || !b.pinned() || b.ctx.Err() != nil {
		return cause
	}
	b.resumes--
	b.closeAnswer()
	resp, err := b.cache.fetchPart(b.ctx, b.obj, b.object, b.offset, b.rest())
	if errors.Is(err, ErrChanged) {
		return err
	}
	if err != nil {
		return cause
	}
	if !b.goOn(resp) {
		resp.Body.Close()
		return cause
	}
	return nil
}

// goOn makes resp the answer that is read, unless the body was closed meanwhile.
func (b *body) goOn(resp *Response) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return false
	}
	b.resp, b.closed = resp, false
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
	resp, closed := b.resp, b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		resp.Body.Close()
	}
}

// rest is the length of the range to ask for.
func (b *body) rest() int64 {
	if b.end == b.size {
		return 0
	}
	return b.end - b.offset
}

// skipTo reads up to off.
func (b *body) skipTo(off int64) error {
	_, err := io.CopyN(io.Discard, b, off-b.offset)
	return err
}

// progress tells how far a download is.
type progress struct {
	tell  func(id ID, done, total int64)
	id    ID
	total int64
	done  atomic.Int64
	told  int64 // only of the goroutine that reports
}

// progressStep is how many bytes there are at least between two reports.
const progressStep = 1 << 20

// came counts bytes. Any goroutine may call it.
func (p *progress) came(bytes int) { p.done.Add(int64(bytes)) }

// saw counts bytes and reports.
func (p *progress) saw(bytes int) {
	p.came(bytes)
	p.report()
}

// report tells how many bytes there are, if enough have come since the last
// report, or if they are all.
func (p *progress) report() {
	if p.tell == nil {
		return
	}
	if done := p.done.Load(); done-p.told >= progressStep || done == p.total && p.told < done {
		p.told = done
		p.tell(p.id, done, p.total)
	}
}
