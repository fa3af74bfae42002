package filecache

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

// A download that outlasts its invocation continues in the next one: its draft stays in
// the store for a while, with the checksums of the received blocks. It has no goroutine,
// and a killed process loses it.

// interrupted is an incomplete download. Nil means none.
type interrupted struct {
	object
	sums  []Checksum // of the whole, as the first answer announced them
	parts *transfer.Parts
	draft *store.Draft
}

// leastKept is the minimum size of a draft worth keeping: continuing it costs an extra
// request if the object has changed.
const leastKept = 1 << 20

// keep keeps the received bytes for the next Open.
func (d *download) keep(i *interrupted) {
	if i.parts.Done() < leastKept || !i.rangeable() {
		i.draft.Close()
		return
	}
	d.cache.store.Keep(store.Key(d.id), i.draft, i, d.Validation.At)
}

// close returns an earlier download that this one has not used to the store.
func (d *download) close() {
	if i := d.takeKept(); i != nil {
		d.keep(i)
	}
}

// dropKept discards the earlier download.
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
	if isAnswer(err) { // the draft is then useless
		d.dropKept()
	}
	return resp, err
}

// requestRest requests the first missing bytes of i. It returns neither a response nor an
// error if the caller should request the whole object.
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

// fetch sends a request and measures the origin's latency for later ones.
func (d *download) fetch(req Request) (*Response, error) {
	if _, ok := d.id.source(); ok { // its source measures its own requests
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

// downloads holds the flights that may download, by object.
type downloads struct {
	mu  sync.Mutex
	now map[ID]*flying
}

type flying struct {
	ctx   context.Context
	ended chan struct{} // closed at the end; nil if no caller waits
}

// windUp bounds the wait for an abandoned flight of the same object that is about to keep
// its draft.
const windUp = time.Second

// begin waits for an abandoned flight of id, and registers the flight of ctx until end is
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

// end unregisters f.
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
