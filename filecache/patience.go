package filecache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"sync"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/transfer"
	"github.com/warmcache/warmcache/internal/flight"
)

// A connection that was kept open through a freeze may be dead and swallow a request
// without an error. A slow origin looks the same. So an unanswered request is sent once
// more on a new connection without canceling the first, and the faster answer counts.
// If both fail and a stale copy may be served, it is.

const (
	// giveUpFor bounds the silence of an origin if a stale copy may be served. If not,
	// the caller's deadline does; without one it is giveUpAlways, far longer than an
	// origin that works needs.
	giveUpFor    = transfer.DefaultRenew / 2 * 3
	giveUpAlways = time.Minute
)

// patience returns how long an origin may be silent for a caller who has until deadline,
// or no deadline if that is zero. A derived object may take as long as it needs.
func patience(id ID, deadline time.Time, stale bool) transfer.Patience {
	if _, ok := id.source(); ok {
		return transfer.Patience{Renew: Immutable}
	}
	p := transfer.Patience{Renew: transfer.DefaultRenew, Deadline: deadline}
	switch {
	case stale:
		p.GiveUp = giveUpFor
	case deadline.IsZero():
		p.GiveUp = giveUpAlways
	}
	return p
}

// patientFetch is a request, which is sent once more on a new connection if no answer
// arrives in time.
type patientFetch struct {
	cache *Cache
	obj   Object
	req   Request
	timer *time.Timer
	busy  sync.WaitGroup // the second request

	mu       sync.Mutex
	over     bool // the first request has ended
	stalled  bool // both were abandoned
	cancel   [2]context.CancelFunc
	answered bool // the second request was, with these:
	resp     *Response
	err      error
	panicked *flight.PanicError
	exited   bool // the second one called runtime.Goexit
}

// fetchPatiently is fetch, but sends the request once more on a new connection if no
// answer arrives, and fails with transfer.ErrStalled if none arrives then either.
func (c *Cache) fetchPatiently(ctx context.Context, obj Object, req Request, p transfer.Patience) (*Response, error) {
	renew, giveUp := p.Waits(time.Now())
	f := &patientFetch{cache: c, obj: obj, req: req}
	first, cancel := context.WithCancel(ctx)
	f.cancel[0] = cancel
	f.busy.Add(1)
	if giveUp == 0 {
		giveUp = Immutable // ctx ends it
	}
	f.timer = time.AfterFunc(min(renew, giveUp), func() {
		defer f.busy.Done()
		f.silent(ctx, giveUp-renew)
	})
	returned := false
	defer func() {
		if !returned { // Fetch panicked
			f.giveUp()
			f.wait()
		}
	}()
	resp, err := c.fetch(first, obj, req)
	resp, err = f.choose(resp, err)
	returned = true
	return resp, err
}

// wait waits for the second request, if it was sent.
func (f *patientFetch) wait() {
	if f.timer.Stop() {
		f.busy.Done()
	}
	f.busy.Wait()
}

// silent is called when the first request has had no answer for too long.
func (f *patientFetch) silent(ctx context.Context, left time.Duration) {
	if left <= 0 {
		f.giveUp()
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	f.mu.Lock()
	f.cancel[1] = cancel
	over := f.over
	f.mu.Unlock()
	if over {
		cancel()
		return
	}
	defer time.AfterFunc(left, f.giveUp).Stop()
	f.again(ctx)
}

// again sends the request once more. A panic must reach the caller and not end the
// process.
func (f *patientFetch) again(ctx context.Context) {
	var resp *Response
	var err error
	returned := false
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !returned {
			f.panicked = flight.NewPanicError(recover())
			f.exited = f.panicked == nil
		}
		f.resp, f.err = resp, err
		f.answered = !f.over && (!returned || isAnswer(err))
		if f.answered {
			f.cancel[0]()
		} else {
			f.cancel[1]()
		}
	}()
	req := f.req
	req.NewConnection = true
	resp, err = f.cache.fetch(ctx, f.obj, req)
	returned = true
}

// isAnswer reports whether err, the result of a Fetch, is an answer of the origin.
func isAnswer(err error) bool {
	return err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrChanged)
}

func (f *patientFetch) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.over || f.answered {
		return
	}
	f.stalled = true
	for _, cancel := range f.cancel {
		if cancel != nil {
			cancel()
		}
	}
}

// choose returns the answer to the first request, which has ended, or to the second.
func (f *patientFetch) choose(resp *Response, err error) (*Response, error) {
	f.mu.Lock()
	f.over = isAnswer(err) && !f.answered
	if f.over && f.cancel[1] != nil {
		f.cancel[1]()
	}
	f.mu.Unlock()
	f.wait()
	switch {
	case f.over:
		f.resp.discard()
		return resp.canceling(f.cancel[0]), err
	case f.answered:
		resp.discard()
		f.rethrow()
		return f.resp.canceling(f.cancel[1]), f.err
	case f.stalled:
		err = transfer.ErrStalled
	}
	f.cancel[0]()
	return nil, err
}

// rethrow panics or exits if the second request did.
func (f *patientFetch) rethrow() {
	if f.panicked != nil {
		panic(f.panicked)
	}
	if f.exited {
		runtime.Goexit()
	}
}

// discard closes the body of an unused response.
func (r *Response) discard() {
	if r != nil && r.Body != nil {
		r.Body.Close()
	}
}

// canceling returns r with a body whose Close calls cancel.
func (r *Response) canceling(cancel context.CancelFunc) *Response {
	if r == nil || r.Body == nil {
		cancel()
		return r
	}
	r.Body = cancelingBody{r.Body, cancel}
	return r
}

type cancelingBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b cancelingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
