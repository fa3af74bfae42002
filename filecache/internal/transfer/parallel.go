package transfer

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/flight"
)

// parallel is a transfer in parts.
//
// The first answer goes on from the front, part by part, and range requests take parts
// from the back, until they meet. If the origin refuses ranges, or they bring nothing any
// more, the first answer is read to its end.
type parallel struct {
	*transfer
	connections int
	began       time.Time
	partSize    int64
	failed      atomic.Pointer[failure] // why all of it ends

	mu     sync.Mutex
	lo, hi int              // nobody has the parts from lo to before hi
	sums   []*blocks.Digest // of the parts that are there
}

// failure is how a range ended the whole transfer.
type failure struct {
	err      error
	panicked *flight.PanicError
	exited   bool // it called runtime.Goexit
}

// split returns nil if the object is to be received in one piece: because it is
// small, or nothing tells whether two answers are of the same version, or what it
// is verified by must be computed in order.
func (t *transfer) split(opts Options) *parallel {
	size := roundUp(opts.PartSize, t.sum.BlockSize)
	if opts.Connections < 2 || t.Size/2 < size || t.Part == nil || !t.sum.Joinable() {
		return nil
	}
	n := int(roundUp(t.Size, size) / size)
	return &parallel{
		transfer: t, connections: opts.Connections, began: time.Now(),
		partSize: size, hi: n, sums: make([]*blocks.Digest, n),
	}
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

func (p *parallel) receive() error {
	if err := p.meet(); err != nil {
		return err
	}
	p.progress.report()
	if err := p.takeLeft(); err != nil {
		return err
	}
	for _, s := range p.sums {
		p.sum.Append(s)
	}
	return nil
}

// meet receives parts from both ends until none is left that nobody has, and
// waits for those that ranges have.
func (p *parallel) meet() error {
	ctx, leave := context.WithCancel(p.ctx)
	defer leave()
	var ranges sync.WaitGroup
	for range min(p.connections, len(p.sums)) - 1 {
		ranges.Go(func() { p.guard(func() error { return p.takeBack(ctx) }) })
	}
	met := false
	defer func() {
		if !met { // also if it panicked
			p.abort()
		}
		ranges.Wait()
	}()
	err := p.takeFront()
	if err == nil {
		met = true
		p.await(&ranges, leave)
	}
	return cmp.Or(p.outcome(), err)
}

// await waits for ranges as long as they bring anything. Then it leaves them: a
// connection may hang for ever, and the first answer has their parts too.
func (p *parallel) await(ranges *sync.WaitGroup, leave func()) {
	ended := make(chan struct{})
	go func() {
		ranges.Wait()
		close(ended)
	}()
	for came := int64(-1); came != p.progress.done.Load(); {
		came = p.progress.done.Load()
		select {
		case <-ended:
			return
		case <-time.After(p.patience()):
		}
	}
	leave()
	<-ended
}

// patience is how long ranges may be silent: as long as all has taken so far, and
// longer than a connection that works.
func (p *parallel) patience() time.Duration { return max(time.Since(p.began), minPatience) }

const minPatience = time.Second

// outcome ends the transfer as a range has ended it, if one has.
func (p *parallel) outcome() error {
	f := p.failed.Load()
	switch {
	case f == nil:
		return nil
	case f.panicked != nil:
		panic(f.panicked)
	case f.exited:
		runtime.Goexit()
	}
	return f.err
}

// takeFront receives parts from the first answer.
func (p *parallel) takeFront() error {
	for {
		if err := p.outcome(); err != nil {
			return err
		}
		i, ok := p.front()
		if !ok {
			return nil
		}
		if err := p.take(i, p.first, p.progress.saw); err != nil {
			return err
		}
	}
}

// takeBack receives parts by range requests. One that fails is the last of this
// connection, and its part is left to the first answer.
func (p *parallel) takeBack(ctx context.Context) error {
	for {
		i, ok := p.back()
		if !ok {
			return nil
		}
		err := p.takeRange(ctx, i)
		if errors.Is(err, ErrChanged) || errors.As(err, new(dstError)) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // the first answer has it too
		}
	}
}

func (p *parallel) takeRange(ctx context.Context, i int) error {
	off, length := p.at(i)
	answer, err := p.Part(ctx, off, length)
	if err != nil {
		return err
	}
	b := p.body(ctx, answer, off, off+length)
	defer b.Close()
	defer context.AfterFunc(ctx, b.Close)() // its Read may heed no context
	return p.take(i, b, p.progress.came)
}

// takeLeft receives the parts that no range has brought: by a range once more, or
// else from the first answer.
func (p *parallel) takeLeft() error {
	ctx, cancel := context.WithTimeout(p.ctx, p.patience())
	defer cancel()
	for i, s := range p.sums {
		if s != nil {
			continue
		}
		off, length := p.at(i)
		if off-p.first.offset > length && p.takeRange(ctx, i) == nil { // rather than all that lies between
			continue
		}
		if err := p.first.skipTo(off); err != nil {
			return err
		}
		if err := p.take(i, p.first, p.progress.saw); err != nil {
			return err
		}
	}
	return nil
}

// take receives part i.
func (p *parallel) take(i int, from *body, saw func(bytes int)) error {
	off, length := p.at(i)
	sum := p.transfer.sum.Part(length)
	if err := p.pump(off, length, from, sum, saw); err != nil {
		p.progress.came(-int(sum.Done()))
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sums[i] = sum
	return nil
}

// at returns where part i begins, and its length.
func (p *parallel) at(i int) (off, length int64) {
	off = int64(i) * p.partSize
	return off, min(p.partSize, p.Size-off)
}

// front takes the first of the parts that nobody has.
func (p *parallel) front() (i int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lo == p.hi {
		return 0, false
	}
	p.lo++
	return p.lo - 1, true
}

// back takes the last of them.
func (p *parallel) back() (i int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lo == p.hi {
		return 0, false
	}
	p.hi--
	return p.hi, true
}

// guard notes how do ended the transfer, if it did. A panic must reach the
// callers and not end the process.
func (p *parallel) guard(do func() error) {
	f := &failure{exited: true}
	defer func() {
		if f.exited {
			f.panicked = flight.NewPanicError(recover())
		}
		if f.exited || f.err != nil {
			p.failed.CompareAndSwap(nil, f)
			p.abort()
		}
	}()
	f.err = do()
	f.exited = false
}
