package filecache

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// A download that outlasts its invocation goes on in the next one: its draft stays in
// the store for a while, with the checksums of what it has. It has no goroutine, and a
// killed process loses it.

// interrupted is a download that has ended too early. Nil means none.
type interrupted struct {
	object
	sums  []Checksum // of the whole, as the first answer announced them
	parts *transfer.Parts
	draft *store.Draft
}

// leastKept is how many bytes an interrupted download must have. The request with which
// it goes on is one more if the object has changed since.
const leastKept = 1 << 20

// keep keeps what was received for the next Open.
func (d *download) keep(i *interrupted) {
	if i.parts.Done() < leastKept || !i.rangeable() {
		i.draft.Close()
		return
	}
	d.cache.store.Keep(store.Key(d.id), i.draft, i, d.Validation.At)
}

// close keeps what an earlier download has, if this one has not used it.
func (d *download) close() {
	if i := d.takeKept(); i != nil {
		d.keep(i)
	}
}

// dropKept drops what an earlier download has.
func (d *download) dropKept() {
	if i := d.takeKept(); i != nil {
		i.draft.Close()
	}
}

func (d *download) takeKept() *interrupted {
	i := d.kept
	d.kept = nil
	return i
}

// request requests the object, or the rest of it if an earlier download of the current
// version was interrupted.
func (d *download) request(req Request) (*Response, error) {
	_, i := d.cache.store.Resume(store.Key(d.id))
	if i != nil {
		d.kept = i.(*interrupted)
		if resp, err := d.requestRest(d.kept); resp != nil || err != nil {
			return resp, err
		}
	}
	d.At, d.Flight = d.cache.clock.Now(), d.flight.ID()
	resp, err := d.fetch(req)
	if isAnswer(err) { // and there is no other use for it
		d.dropKept()
	}
	return resp, err
}

// requestRest requests the first bytes that i lacks. It returns neither a response nor
// an error if a request for the whole may do better.
func (d *download) requestRest(i *interrupted) (*Response, error) {
	d.At, d.Flight = d.cache.clock.Now(), d.flight.ID()
	off, end := i.parts.Next()
	resp, err := d.fetch(Request{IfMatch: strong(i.etag), Offset: off, Length: end - off})
	switch {
	case err == nil && i.isSame(resp) == nil:
		return resp, nil
	case err == nil:
		resp.Body.Close()
	case d.ctx.Err() != nil, errors.Is(err, transfer.ErrStalled):
		return nil, err
	}
	return nil, nil
}

// fetch sends a request, and learns from the answer how long those that follow may
// take.
func (d *download) fetch(req Request) (*Response, error) {
	if _, ok := d.id.source(); ok { // its own requests are those of its source
		resp, err := d.cache.fetch(d.ctx, d.obj, req)
		if err == nil && resp.sourceAt != nil {
			d.At = *resp.sourceAt
		}
		return resp, err
	}
	began := time.Now()
	resp, err := d.cache.fetchPatiently(d.ctx, d.obj, req, d.patience)
	d.patience.Renew = max(d.patience.Renew, 4*time.Since(began))
	return resp, err
}

// downloads are the flights that may download, by object.
type downloads struct {
	mu  sync.Mutex
	now map[ID]*flying
}

type flying struct {
	ctx   context.Context
	ended chan struct{} // closed at the end; nil: nobody waits for that
}

// windUp is how long a flight waits for one before it, of the same object, that was
// abandoned and is about to keep what it has.
const windUp = time.Second

// begin waits for an abandoned flight of id, and notes the one of ctx until end is
// called.
func (d *downloads) begin(ctx context.Context, id ID) *flying {
	f := &flying{ctx: ctx}
	d.mu.Lock()
	if d.now == nil {
		d.now = make(map[ID]*flying)
	}
	before := d.now[id]
	d.now[id] = f
	if before == nil || before.ctx.Err() == nil {
		d.mu.Unlock()
		return f
	}
	if before.ended == nil {
		before.ended = make(chan struct{})
	}
	d.mu.Unlock()
	wait := time.NewTimer(windUp)
	defer wait.Stop()
	select {
	case <-before.ended:
	case <-wait.C:
	case <-ctx.Done():
	}
	return f
}

// end ends what begin has begun.
func (d *downloads) end(id ID, f *flying) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now[id] == f {
		delete(d.now, id)
	}
	if f.ended != nil {
		close(f.ended)
	}
}
