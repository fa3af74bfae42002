package transfer

import (
	"context"
	"slices"
	"sync"
)

// Ranges reads ranges of one version of an object from the origin. The origin sends no
// checksums for ranges. Ranges is safe for concurrent use, and reads at different offsets
// do not wait for each other.
//
// A read that misses requests more bytes than it needs, and keeps them in a window for
// later reads. The window grows with the number of bytes read in sequence.
type Ranges struct {
	ctx     context.Context
	version Version
	limit   int64 // maximum total length of the windows

	mu      sync.Mutex
	windows []*window // least recently used first
	held    int64     // total length of the windows
	runs    []run     // latest last
}

// window is a range of the object in memory.
type window struct {
	start, end int64
	ready      chan struct{} // closed when bytes or err is set
	bytes      []byte
	err        error
}

// run is a range that was read in sequence.
type run struct{ end, length int64 }

const (
	// leastAhead is the length of the window for a read that continues no run.
	leastAhead = 256 << 10
	// maxGap is the maximum distance from the end of a run to a read that continues it.
	maxGap = 64 << 10
	// maxRuns is how many sequential readers can be distinguished.
	maxRuns = 16
)

// NewRanges returns Ranges of v, whose Part must not be nil. Requests use ctx. limit
// bounds the memory for windows, in bytes.
func NewRanges(ctx context.Context, v Version, limit int64) *Ranges {
	return &Ranges{ctx: ctx, version: v, limit: limit}
}

// Detach makes later requests use ctx. It must not be called concurrently with reads.
func (r *Ranges) Detach(ctx context.Context) { r.ctx = ctx }

// ReadAt fills p with the bytes at off. The range must be within the object.
func (r *Ranges) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := r.readSome(p[n:], off+int64(n))
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// readSome fills the front of p.
func (r *Ranges) readSome(p []byte, off int64) (int, error) {
	w, mine := r.find(off, int64(len(p)))
	switch {
	case w == nil:
		return r.readDirectly(p, off)
	case mine:
		r.load(w)
		if w.err != nil {
			return 0, w.err
		}
	default:
		select {
		case <-w.ready:
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
	if w.err != nil {
		return 0, nil //nolint:nilerr // another reader's request failed: this reader sends its own
	}
	return copy(p, w.bytes[off-w.start:]), nil
}

func (r *Ranges) readDirectly(p []byte, off int64) (int, error) {
	if err := r.version.Read(r.ctx, p, off, Patience{}); err != nil {
		return 0, err
	}
	return len(p), nil
}

// find returns the window with the byte at off, and whether the caller must load it. It
// returns nil if n bytes are better read without a window.
func (r *Ranges) find(off, n int64) (w *window, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, w := range r.windows {
		if w.start <= off && off < w.end {
			r.windows = append(slices.Delete(r.windows, i, i+1), w)
			return w, false
		}
	}
	w = r.window(off, r.follow(off)/2)
	if n >= w.end-off && n >= leastAhead || !r.makeRoom(w.end-w.start) {
		r.advance(off, n)
		return nil, false
	}
	r.held += w.end - w.start
	r.windows = append(r.windows, w)
	r.advance(off, w.end-off)
	return w, true
}

// window returns a new window for a read at off, with at least ahead bytes.
func (r *Ranges) window(off, ahead int64) *window {
	length := min(max(ahead, leastAhead), r.limit, r.version.Size)
	w := &window{start: off, end: min(off+length, r.version.Size), ready: make(chan struct{})}
	// File formats with a directory at the end are read backwards there.
	w.start = max(0, min(off, r.version.Size-min(length, leastAhead)))
	return w
}

// follow returns how many bytes before off have been read in sequence. The caller holds
// mu.
func (r *Ranges) follow(off int64) int64 {
	for i, run := range r.runs {
		if gap := off - run.end; gap >= 0 && gap <= maxGap {
			r.runs = append(slices.Delete(r.runs, i, i+1), run)
			return run.length
		}
	}
	if len(r.runs) == maxRuns {
		r.runs = slices.Delete(r.runs, 0, 1)
	}
	r.runs = append(r.runs, run{end: off})
	return 0
}

// advance extends the run that follow found by n bytes at off. The caller holds mu.
func (r *Ranges) advance(off, n int64) {
	last := &r.runs[len(r.runs)-1]
	last.end, last.length = off+n, last.length+n
}

// makeRoom drops windows until n more bytes fit. It keeps windows that are being loaded.
// The caller holds mu.
func (r *Ranges) makeRoom(n int64) bool {
	for r.held+n > r.limit {
		i := slices.IndexFunc(r.windows, func(w *window) bool { return w.bytes != nil })
		if i < 0 {
			return false
		}
		r.drop(r.windows[i])
	}
	return true
}

// drop removes a window. The caller holds mu.
func (r *Ranges) drop(w *window) {
	if i := slices.Index(r.windows, w); i >= 0 {
		r.windows = slices.Delete(r.windows, i, i+1)
		r.held -= w.end - w.start
	}
}

// load requests the bytes of w.
func (r *Ranges) load(w *window) {
	bytes := make([]byte, w.end-w.start)
	err := errClosed // for the case that Read panics
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if w.err = err; err != nil {
			r.drop(w)
		} else {
			w.bytes = bytes
		}
		close(w.ready)
	}()
	err = r.version.Read(r.ctx, bytes, w.start, Patience{})
}
