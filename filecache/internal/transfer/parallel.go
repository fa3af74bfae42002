package transfer

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// parallel downloads an object in parts.
//
// The first answer delivers parts from the front, and range requests fetch parts from the
// back, until they meet. If one connection is much slower than the others, the next idle
// goroutine requests the rest of its part again. If the origin refuses ranges, or they
// stop delivering bytes, the first answer is read to its end.
type parallel struct {
	*transfer
	parts       *Parts
	first       *body
	connections int
	began       time.Time

	mu       sync.Mutex
	todo     []int              // missing parts that no goroutine is receiving, in order
	taken    int                // number of parts being received
	reading  map[*body]struct{} // the bodies of those parts
	last     pace               // of the last part received
	finished chan struct{}      // closed when todo is empty and taken is zero
}

func (t *transfer) parallel(first *body, parts *Parts, connections int) *parallel {
	p := &parallel{
		transfer: t, parts: parts, first: first, connections: connections, began: time.Now(),
		reading: make(map[*body]struct{}), finished: make(chan struct{}),
	}
	for i := range parts.sums {
		if !parts.at(i).complete() {
			p.todo = append(p.todo, i)
		}
	}
	return p
}

func (p *parallel) receive() error {
	if err := p.meet(); err != nil {
		return err
	}
	p.progress.report()
	return p.takeLeft()
}

// meet receives parts from both ends until each is assigned, and then waits for the range
// requests.
func (p *parallel) meet() error {
	ctx, leave := context.WithCancel(p.ctx)
	defer leave()
	var ranges sync.WaitGroup
	front, ok := p.take(true) // reserve it before the range requests start: its bytes are already on the way
	for range min(p.connections, len(p.todo)+1) - 1 {
		ranges.Go(func() { p.guard(func() error { return p.takeBack(ctx) }) })
	}
	met := false
	defer func() {
		if !met { // true after a panic as well
			p.abort()
		}
		ranges.Wait()
	}()
	err := p.takeFront(front, ok)
	if err == nil {
		met = true
		p.await(&ranges, leave)
	}
	return cmp.Or(p.outcome(), err)
}

// await waits for the range requests while they deliver bytes. Then it abandons them: a
// connection may hang forever, and the first answer contains their parts too.
func (p *parallel) await(ranges *sync.WaitGroup, leave func()) {
	ended := make(chan struct{})
	go func() {
		ranges.Wait()
		close(ended)
	}()
	for came := int64(-1); came != p.progress.done.Load(); {
		came = p.progress.done.Load()
		p.progress.report()
		if p.oversee(ended, p.patience()) {
			return
		}
	}
	leave()
	<-ended
}

// patience is how long range requests may be silent. It is at least the time since the
// start, longer than the pauses of a healthy connection, and leaves time for a renewal.
func (p *parallel) patience() time.Duration {
	return min(max(time.Since(p.began), minPatience), maxPatience)
}

const (
	minPatience = time.Second
	maxPatience = 3 * DefaultRenew
)

// takeFront receives part i, if ok, and the parts after it from the first answer, as far
// as that goes.
func (p *parallel) takeFront(i int, ok bool) error {
	for ; ok; i, ok = p.take(true) {
		if err := p.outcome(); err != nil {
			return err
		}
		part := p.parts.at(i)
		if p.first.reaches(part.next(), part.end()) {
			err := p.read(part, p.first, p.progress.saw)
			p.release()
			if err != nil {
				return err
			}
			continue
		}
		p.first.close(errClosed) // it ended before this part
		err := p.request(p.ctx, part, p.progress.saw)
		p.release()
		if isFinal(err) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // takeLeft retries
		}
	}
	return nil
}

// takeBack receives parts by range requests. After a failure it stops, and leaves the
// part to the first answer.
func (p *parallel) takeBack(ctx context.Context) error {
	for {
		i, ok := p.take(false)
		if !ok {
			p.oversee(p.finished, forever)
			return nil
		}
		err := p.request(ctx, p.parts.at(i), p.progress.came)
		p.release()
		if isFinal(err) {
			return err
		}
		if err != nil {
			return nil //nolint:nilerr // the first answer contains it too
		}
	}
}

// isFinal reports whether a retry would be futile.
func isFinal(err error) bool { return errors.Is(err, ErrChanged) || errors.As(err, new(dstError)) }

// take assigns the first or the last of the parts in todo.
func (p *parallel) take(first bool) (i int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.todo)
	if n == 0 {
		return 0, false
	}
	p.taken++
	if first {
		i, p.todo = p.todo[0], p.todo[1:]
	} else {
		i, p.todo = p.todo[n-1], p.todo[:n-1]
	}
	return i, true
}

// release ends the assignment of a part by take.
func (p *parallel) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.taken--; p.taken == 0 && len(p.todo) == 0 {
		close(p.finished)
	}
}

// request receives the rest of a part by a range request.
func (p *parallel) request(ctx context.Context, part *part, saw func(bytes int)) error {
	b := p.newBody(ctx, part.next(), part.end())
	return b.use(func() error { return p.read(part, b, saw) })
}

// takeLeft receives the parts that range requests did not deliver. It tries another range
// request, or reads the first answer.
func (p *parallel) takeLeft() error {
	for i := range p.parts.sums {
		part := p.parts.at(i)
		if part.complete() {
			continue
		}
		if err := p.takeOne(part); err != nil {
			return err
		}
	}
	return nil
}

func (p *parallel) takeOne(part *part) error {
	if !p.first.reaches(part.next(), part.end()) {
		return p.request(p.ctx, part, p.progress.saw)
	}
	if p.first.distance(part.next()) > part.length { // a range request is faster than reading all bytes in between
		ctx, cancel := context.WithTimeout(p.ctx, p.patience())
		defer cancel()
		if err := p.request(ctx, part, p.progress.saw); err == nil || isFinal(err) {
			return err
		}
	}
	return p.read(part, p.first, p.progress.saw)
}

// read receives the rest of a part from a body.
func (p *parallel) read(part *part, from *body, saw func(bytes int)) error {
	from.aim(part.end())
	p.watch(from, true)
	defer p.watch(from, false)
	start, before := time.Now(), part.sum.Done()
	if err := from.skipTo(part.next()); err != nil {
		return err
	}
	if err := p.pump(part, from, saw); err != nil {
		return err
	}
	if n := part.sum.Done() - before; n >= p.parts.partSize/2 { // otherwise the time to the first byte dominates
		p.mu.Lock()
		defer p.mu.Unlock()
		p.last = pace{n, time.Since(start)}
	}
	return nil
}

// watch adds b to the bodies that oversee watches, or removes it.
func (p *parallel) watch(b *body, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.reading[b] = struct{}{}
	} else {
		delete(p.reading, b)
	}
}

const (
	forever   = time.Duration(1<<63 - 1)
	lookEvery = 50 * time.Millisecond
)

// oversee renews connections that are much slower than others. It reports whether done
// was closed within d.
func (p *parallel) oversee(done <-chan struct{}, d time.Duration) bool {
	look := time.NewTicker(min(lookEvery, d))
	defer look.Stop()
	for began := time.Now(); ; {
		p.renewSlow()
		select {
		case <-done:
			return true
		case <-p.ctx.Done():
			return false
		case <-look.C:
		}
		if time.Since(began) >= d {
			return false
		}
	}
}

func (p *parallel) renewSlow() {
	p.mu.Lock()
	last, reading := p.last, slices.Collect(maps.Keys(p.reading))
	p.mu.Unlock()
	if last.bytes == 0 {
		return // nothing to compare with
	}
	for _, b := range reading {
		b.renewIfSlow(last)
	}
}
