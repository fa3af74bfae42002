package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"
)

// body reads the bytes of one version of an object up to limit. It recovers from broken
// and silent connections, which HTTP clients do not do.
type body struct {
	*transfer
	ctx  context.Context // of its requests
	busy sync.WaitGroup  // renewals in progress
	stop func() bool     // stops watching ctx

	// Only the reader accesses these.
	fruitless int   // consecutive attempts without a byte
	attempts  int   // total
	received  int64 // total
	err       error // of the last answer

	mu       sync.Mutex
	offset   int64
	limit    int64     // end of the bytes to read
	goal     int64     // end of the bytes that a renewal requests: limit, or the end of a part
	answer   *answer   // being read or requested; nil if none
	pending  *answer   // the renewal in progress, which is to replace answer
	renewed  int       // number of renewals since aim
	since    time.Time // the later of the last aim and the request of answer
	gotSince int64     // bytes since then
	timer    *time.Timer
	waits    time.Time // start of the current wait; zero if there is none
	closed   error     // why it was closed; nil if it is open
}

// answer is one request and the body of its response.
type answer struct {
	cancel    context.CancelFunc
	requested time.Time
	at        int64 // offset of the next byte; only the reader accesses it

	// Guarded by mu of the body.
	body   io.ReadCloser // nil until the response arrives
	got    int64         // bytes read
	closed bool
}

const (
	// maxFruitless bounds the consecutive attempts without a byte.
	maxFruitless = 3
	firstBackoff = 100 * time.Millisecond

	// maxEmpty bounds the consecutive reads of zero bytes.
	maxEmpty = 100

	// An origin may cut each answer after a few bytes. So beyond freeAttempts, requests
	// are delayed unless they deliver worthAttempt bytes on average.
	freeAttempts  = 32
	worthAttempt  = 4 << 10
	attemptsPause = time.Second
)

var errClosed = errors.New("the transfer has ended")

// body returns a body that reads the response first.
func (t *transfer) body(ctx context.Context, first io.ReadCloser, off, end int64) *body {
	b := t.newBody(ctx, off, end)
	a := &answer{body: first, cancel: func() {}, at: off, requested: time.Now()}
	b.mu.Lock()
	b.answer = a
	closed := b.closed != nil // ctx was done before
	b.mu.Unlock()
	if closed {
		b.dispose(a)
	}
	return b
}

// newBody returns a body that sends its request at the first Read.
func (t *transfer) newBody(ctx context.Context, off, end int64) *body {
	b := &body{transfer: t, ctx: ctx, offset: off, limit: end, goal: end}
	b.busy.Add(1)
	b.stop = context.AfterFunc(ctx, func() { // Read may ignore its context
		defer b.busy.Done()
		b.close(context.Cause(ctx))
	})
	return b
}

// Read implements io.Reader. It returns io.EOF at limit.
func (b *body) Read(p []byte) (int, error) {
	for empty := 0; ; {
		a, err := b.current()
		if err != nil {
			return 0, err
		}
		n, skipped, err := b.read(a, p)
		switch {
		case n > 0:
			return n, nil // Read returns the error again
		case skipped > 0:
			continue
		case err == nil:
			if empty++; empty < maxEmpty {
				continue
			}
			err, empty = io.ErrNoProgress, 0
		}
		if b.isOver(err) {
			return 0, io.EOF
		}
		b.lost(a, err)
	}
}

// isOver reports whether all bytes have been read when an answer ends with err.
func (b *body) isOver(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offset >= b.limit || b.Size < 0 && err == io.EOF
}

// current returns the answer to read from. If there is none, it sends a request.
func (b *body) current() (*answer, error) {
	b.mu.Lock()
	a, closed, over := b.answer, b.closed, b.offset >= b.limit
	b.mu.Unlock()
	switch {
	case closed != nil:
		return nil, closed
	case over && b.Size >= 0:
		return nil, io.EOF
	case a != nil:
		return a, nil
	}
	return b.resume()
}

// read reads from a, and skips the bytes before b.offset.
func (b *body) read(a *answer, p []byte) (n, skipped int, err error) {
	b.mu.Lock()
	skip := b.offset - a.at
	if skip > 0 {
		p = p[:min(int64(len(p)), skip)]
	} else {
		p = p[:min(int64(len(p)), b.limit-b.offset)]
	}
	b.listen()
	b.mu.Unlock()

	n, err = a.body.Read(p)

	b.came(n)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listened()
	a.at += int64(n)
	a.got += int64(n)
	b.received += int64(n)
	b.gotSince += int64(n)
	if skip > 0 {
		return 0, n, err
	}
	b.offset += int64(n)
	return n, 0, err
}

// lost drops a, which ended with err, unless a renewal has replaced it.
func (b *body) lost(a *answer, err error) {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	b.mu.Lock()
	if b.answer == a {
		b.answer, b.err = nil, err
	}
	if a.got > 0 {
		b.fruitless = 0
	}
	b.mu.Unlock()
	b.dispose(a)
}

// resume requests the remaining bytes. b.err is the error of the last answer, if any.
func (b *body) resume() (*answer, error) {
	for {
		cause := b.err
		if b.Part == nil || b.fruitless >= maxFruitless {
			return nil, cause
		}
		if !sleep(b.ctx, b.backoff()) {
			return nil, context.Cause(b.ctx)
		}
		b.fruitless++
		b.attempts++
		a, err := b.connect(b.fruitless > 1)
		switch {
		case err == nil:
			return a, nil
		case cause == nil, errors.Is(err, ErrChanged), errors.Is(err, errClosed), b.ctx.Err() != nil:
			return nil, err
		case errors.Is(err, fs.ErrNotExist):
			return nil, cause
		}
	}
}

func (b *body) backoff() time.Duration {
	switch {
	case b.attempts > freeAttempts && int64(b.attempts)*worthAttempt > b.received:
		return attemptsPause
	case b.fruitless == 0:
		return 0
	}
	return firstBackoff << (b.fruitless - 1)
}

// connect requests the remaining bytes. It returns a renewal instead if that arrives
// first.
func (b *body) connect(fresh bool) (*answer, error) {
	b.mu.Lock()
	if b.closed != nil {
		defer b.mu.Unlock()
		return nil, b.closed
	}
	a, ctx := b.newAnswer()
	b.answer = a
	b.listen()
	off, length := b.offset, b.goal-b.offset
	b.mu.Unlock()

	got, err := b.Part(ctx, off, length, fresh)

	b.mu.Lock()
	b.listened()
	a.body = got
	closed, now := b.closed, b.answer
	switch {
	case closed != nil:
		err = closed
	case now != a: // a renewal was faster
		err = nil
	case err == nil:
		b.limit = b.goal
	default:
		b.answer = nil
	}
	b.mu.Unlock()
	if err != nil || now != a {
		b.dispose(a)
	}
	return now, err
}

// newAnswer returns an answer for a new request, and the request's context. The caller
// holds mu.
func (b *body) newAnswer() (*answer, context.Context) {
	ctx, cancel := context.WithCancel(b.ctx)
	return &answer{cancel: cancel, at: b.offset, requested: time.Now()}, ctx
}

// listen starts a wait for bytes or a response. The caller holds mu. It does not reset
// the timer, which would cost more than reading a small object. Instead the timer checks
// the duration of the current wait now and then.
func (b *body) listen() {
	b.waits = time.Now()
	if b.timer == nil {
		first, _, _ := b.bounds(b.waits)
		b.timer = time.AfterFunc(first, b.checkWait)
	}
}

// listened ends the wait. The caller holds mu.
func (b *body) listened() { b.waits = time.Time{} }

// bounds returns how long a wait that started at since may last before checkWait acts,
// before it renews the connection, and before it gives up.
func (b *body) bounds(since time.Time) (first, renew, giveUp time.Duration) {
	renew, giveUp = b.patience.Waits(since)
	first = renew
	if giveUp > 0 && (b.Part == nil || giveUp < renew) {
		first = giveUp
	}
	return first, renew, giveUp
}

// checkWait renews the connection after a long silence, or gives up.
func (b *body) checkWait() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return
	}
	now := time.Now()
	since := b.waits
	if since.IsZero() {
		since = now
	}
	first, renew, giveUp := b.bounds(since)
	waited := now.Sub(since)
	switch {
	case waited < first:
		b.timer.Reset(first - waited)
		return
	case giveUp > 0 && waited >= giveUp:
		b.busy.Go(func() { b.close(ErrStalled) })
		return
	}
	again := max(renew, 2*waited)
	if giveUp > 0 {
		again = min(again, giveUp)
	}
	b.timer.Reset(again - waited)
	if b.answer != nil && b.answer.requested.After(since) {
		return // the connection was renewed, but Close did not end the Read
	}
	b.renewLocked(true)
}

// renewLocked requests the remaining bytes up to goal again, and switches to the new
// response when it arrives. If fresh is true, it requests a new connection. The caller
// holds mu.
func (b *body) renewLocked(fresh bool) {
	if b.closed != nil || b.Part == nil || b.offset >= b.goal {
		return
	}
	if b.pending != nil {
		if renew, _ := b.patience.Waits(b.pending.requested); time.Since(b.pending.requested) < renew {
			return
		}
		b.pending.cancel()
	}
	a, ctx := b.newAnswer()
	b.pending = a
	b.renewed++
	off, length := b.offset, b.goal-b.offset
	b.busy.Go(func() {
		b.guard(func() error {
			got, err := b.Part(ctx, off, length, fresh)
			return b.replace(a, got, err)
		})
	})
}

// replace switches to a, if it arrived in time.
func (b *body) replace(a *answer, got io.ReadCloser, err error) error {
	b.mu.Lock()
	old := a
	a.body = got
	if b.pending == a {
		b.pending = nil
	}
	if err == nil && b.closed == nil && b.offset < b.goal {
		old, b.answer, b.limit = b.answer, a, b.goal
		b.since, b.gotSince = a.requested, 0
	}
	b.mu.Unlock()
	b.dispose(old)
	if errors.Is(err, ErrChanged) {
		return err
	}
	return nil // the current answer may continue
}

// dispose closes a, which ends a Read that waits for it.
func (b *body) dispose(a *answer) {
	if a == nil {
		return
	}
	b.mu.Lock()
	got, closed := a.body, a.closed
	a.closed = got != nil
	b.mu.Unlock()
	a.cancel()
	if got != nil && !closed {
		b.guard(func() error { got.Close(); return nil })
	}
}

// excess reports whether the answer continues after the object's last byte.
func (b *body) excess() bool {
	b.mu.Lock()
	a := b.answer
	b.mu.Unlock()
	if a == nil || a.at != b.Size { // a renewal replaced it at the last moment
		return false
	}
	b.busy.Add(1)
	wait := time.AfterFunc(DefaultRenew, func() {
		defer b.busy.Done()
		b.close(errClosed)
	})
	defer func() {
		if wait.Stop() {
			b.busy.Done()
		}
	}()
	n, _ := a.body.Read(make([]byte, 1))
	return n > 0
}

// aim sets the end of the bytes that renewals request.
func (b *body) aim(goal int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.goal, b.renewed, b.since, b.gotSince = goal, 0, time.Now(), 0
}

// pace is the time for a part, from its request to its last byte.
type pace struct {
	bytes int64
	took  time.Duration
}

const (
	// A connection is slow if the remaining bytes would take slower times as long as at
	// the pace of another one, and minGain longer. It is judged only after the time of
	// one and a half parts, and after leastJudged.
	slower      = 4
	minGain     = 100 * time.Millisecond
	leastJudged = 200 * time.Millisecond

	maxRenewals = 3 // of slow connections, for each goal
)

// renewIfSlow renews the connection if it is much slower than another one.
func (b *body) renewIfSlow(other pace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	elapsed := time.Since(b.since)
	if elapsed < max(leastJudged, other.took/2*3) || b.renewed >= maxRenewals {
		return
	}
	rest := float64(b.goal - b.offset)
	quick := rest * other.took.Seconds() / float64(other.bytes)
	slow := rest * elapsed.Seconds() / float64(b.gotSince) // +Inf if no byte arrived
	if slow > slower*quick+minGain.Seconds() {
		b.renewLocked(false)
	}
}

// distance returns the distance from the next byte to off.
func (b *body) distance(off int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return off - b.offset
}

// reaches reports whether b will deliver the bytes from off to end.
func (b *body) reaches(off, end int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed == nil && b.offset <= off && end <= b.limit
}

// skipTo discards the bytes before off.
func (b *body) skipTo(off int64) error {
	_, err := io.CopyN(io.Discard, b, b.distance(off))
	return err
}

// close makes Read return why. It may be called during a Read.
func (b *body) close(why error) {
	b.mu.Lock()
	if b.closed == nil {
		b.closed = why
	}
	answer, pending := b.answer, b.pending
	if b.timer != nil {
		b.timer.Stop()
	}
	b.mu.Unlock()
	b.dispose(answer)
	b.dispose(pending)
}

// end closes b and waits for its goroutines.
func (b *body) end() {
	if b.stop() {
		b.busy.Done()
	}
	b.close(errClosed)
	b.busy.Wait()
}

// sleep waits for d. It reports false if ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// use calls do and then ends b.
func (b *body) use(do func() error) error {
	defer b.end() // after a panic as well
	return do()
}
