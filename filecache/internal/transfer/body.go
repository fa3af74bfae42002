package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"
)

// body reads the bytes of one version of an object up to limit. It makes up for a
// connection that breaks or falls silent, which clients do not do by themselves.
type body struct {
	*transfer
	ctx  context.Context // of its requests
	busy sync.WaitGroup  // renewals under way
	stop func() bool     // watching ctx

	// Only the reader uses these.
	fruitless int   // attempts in a row that brought nothing
	attempts  int   // in all
	received  int64 // in all
	err       error // of the last answer

	mu       sync.Mutex
	offset   int64
	limit    int64     // of what is read
	goal     int64     // up to which a renewal requests: limit, or the end of a part
	answer   *answer   // that is read or awaited; nil: none
	pending  *answer   // that is to replace it
	renewed  int       // how often, since aim
	since    time.Time // when aim was called or the answer was requested, if that was later
	gotSince int64     // bytes since then
	timer    *time.Timer
	waits    time.Time // since when; zero: nobody does
	closed   error     // why, when it is closed
}

// answer is one request and its body.
type answer struct {
	cancel context.CancelFunc
	asked  time.Time
	at     int64 // offset of the next byte. Only the reader uses it

	// Guarded by mu of the body.
	body   io.ReadCloser // nil until it comes
	got    int64         // bytes so far
	closed bool
}

const (
	// maxFruitless is how many attempts in a row may bring nothing.
	maxFruitless = 3
	firstBackoff = 100 * time.Millisecond

	// maxEmpty is how many reads in a row may return nothing.
	maxEmpty = 100

	// An origin that cuts each answer after a few bytes is not sent requests as fast
	// as it can answer: beyond freeAttempts, each must bring worthAttempt on average.
	freeAttempts  = 32
	worthAttempt  = 4 << 10
	attemptsPause = time.Second
)

var errClosed = errors.New("the transfer has ended")

// body returns one that reads an answer that has come.
func (t *transfer) body(ctx context.Context, first io.ReadCloser, off, end int64) *body {
	b := t.newBody(ctx, off, end)
	a := &answer{body: first, cancel: func() {}, at: off, asked: time.Now()}
	b.mu.Lock()
	b.answer = a
	closed := b.closed != nil // ctx has ended already
	b.mu.Unlock()
	if closed {
		b.dispose(a)
	}
	return b
}

// newBody returns one that requests its bytes when it is first read.
func (t *transfer) newBody(ctx context.Context, off, end int64) *body {
	b := &body{transfer: t, ctx: ctx, offset: off, limit: end, goal: end}
	b.busy.Add(1)
	b.stop = context.AfterFunc(ctx, func() { // its Read may heed no context
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
			return n, nil // an error comes again
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

// isOver reports whether all has been read, if an answer ended with err.
func (b *body) isOver(err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.offset >= b.limit || b.Size < 0 && err == io.EOF
}

// current returns the answer to read from, after requesting one if there is none.
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

// read reads from a, and skips the bytes that a sends again.
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

// lost gives a up, which ended with err, unless it has been replaced.
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

// resume requests the rest, after b.err if there was an answer.
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

// connect requests the rest. It returns another answer if that came first.
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

// newAnswer returns an answer that is to be requested now, with its context. The caller
// holds mu.
func (b *body) newAnswer() (*answer, context.Context) {
	ctx, cancel := context.WithCancel(b.ctx)
	return &answer{cancel: cancel, at: b.offset, asked: time.Now()}, ctx
}

// listen starts to wait for bytes, or an answer. The caller holds mu. The timer is not
// set for each wait, which would cost more than to read a small object: it looks now and
// then how long a wait has been.
func (b *body) listen() {
	b.waits = time.Now()
	if b.timer == nil {
		first, _, _ := b.bounds(b.waits)
		b.timer = time.AfterFunc(first, b.look)
	}
}

// listened ends the wait. The caller holds mu.
func (b *body) listened() { b.waits = time.Time{} }

// bounds returns how long a wait since then may be until something is done about it, until
// it is renewed, and until it is given up.
func (b *body) bounds(since time.Time) (first, renew, giveUp time.Duration) {
	renew, giveUp = b.patience.Waits(since)
	first = renew
	if giveUp > 0 && (b.Part == nil || giveUp < renew) {
		first = giveUp
	}
	return first, renew, giveUp
}

// look renews the answer if nothing has come for long, or gives up.
func (b *body) look() {
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
	if b.answer != nil && b.answer.asked.After(since) {
		return // it was renewed, but Close has not ended Read
	}
	b.renewLocked(true)
}

// renewLocked requests the rest of the bytes up to goal once more, and reads them from
// that answer when it comes. Fresh requests a new connection. The caller holds mu.
func (b *body) renewLocked(fresh bool) {
	if b.closed != nil || b.Part == nil || b.offset >= b.goal {
		return
	}
	if b.pending != nil {
		if renew, _ := b.patience.Waits(b.pending.asked); time.Since(b.pending.asked) < renew {
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

// replace makes a the answer that is read, if it came in time.
func (b *body) replace(a *answer, got io.ReadCloser, err error) error {
	b.mu.Lock()
	old := a
	a.body = got
	if b.pending == a {
		b.pending = nil
	}
	if err == nil && b.closed == nil && b.offset < b.goal {
		old, b.answer, b.limit = b.answer, a, b.goal
		b.since, b.gotSince = a.asked, 0
	}
	b.mu.Unlock()
	b.dispose(old)
	if errors.Is(err, ErrChanged) {
		return err
	}
	return nil // the answer that is there may go on
}

// dispose ends a, and a Read that waits for it.
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

// excess reports whether the answer goes on after its last byte.
func (b *body) excess() bool {
	b.mu.Lock()
	a := b.answer
	b.mu.Unlock()
	if a == nil || a.at != b.Size { // it was replaced at the last moment
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

// aim makes goal what renewals request up to.
func (b *body) aim(goal int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.goal, b.renewed, b.since, b.gotSince = goal, 0, time.Now(), 0
}

// pace is how long a part took, from its request to its last byte.
type pace struct {
	bytes int64
	took  time.Duration
}

const (
	// A connection is slow if the rest would take that many times as long as at the
	// pace of another one, and by minGain longer. It is judged when it has had the time
	// of one and a half parts, and leastJudged.
	slower      = 4
	minGain     = 100 * time.Millisecond
	leastJudged = 200 * time.Millisecond

	maxRenewals = 3 // of slow connections, for one goal
)

// renewIfSlow renews a connection that is much slower than another one.
func (b *body) renewIfSlow(other pace) {
	b.mu.Lock()
	defer b.mu.Unlock()
	elapsed := time.Since(b.since)
	if elapsed < max(leastJudged, other.took/2*3) || b.renewed >= maxRenewals {
		return
	}
	rest := float64(b.goal - b.offset)
	quick := rest * other.took.Seconds() / float64(other.bytes)
	slow := rest * elapsed.Seconds() / float64(b.gotSince) // +Inf if nothing came
	if slow > slower*quick+minGain.Seconds() {
		b.renewLocked(false)
	}
}

// distance returns how far off is from the next byte.
func (b *body) distance(off int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return off - b.offset
}

// reaches reports whether b has the bytes from off to end, or will.
func (b *body) reaches(off, end int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed == nil && b.offset <= off && end <= b.limit
}

// skipTo reads up to off.
func (b *body) skipTo(off int64) error {
	_, err := io.CopyN(io.Discard, b, b.distance(off))
	return err
}

// close makes Read return why. It may be called while Read waits.
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

// end closes b and waits for what it has started.
func (b *body) end() {
	if b.stop() {
		b.busy.Done()
	}
	b.close(errClosed)
	b.busy.Wait()
}

// sleep reports whether ctx lasted as long.
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
	defer b.end() // also if it panics
	return do()
}
