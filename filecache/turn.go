package filecache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// Processes that miss the same large object at the same time take turns: one
// downloads it, and the others use its copy. Each has asked the origin by then and
// knows which version is current, so a copy with the same ETag is as good as what it
// was about to receive. Small objects have arrived before a lock would pay.
//
// A turn is a lock on one byte of a file, whose number is a hash of the object's
// ID: so there is one empty file for all, no two objects share a lock, and the
// system ends it with the process. It only saves work. Whoever waits for one that is
// frozen goes on without it after a while, and where there are no such locks
// everybody downloads.

// turns are the bytes of that file.
type turns interface {
	// Take locks a byte until Close. It does not wait: see errLocked.
	Take(n int64) error
	io.Closer
}

// turnFrom is the size from which processes take turns.
const turnFrom = 1 << 20

// patience is how long to wait for another process that downloads size bytes, if
// the caller has that much time left: about as long as the download takes, so that a
// frozen process at worst doubles the time, and so that the time that is left does.
func patience(size int64, left time.Duration) time.Duration {
	const rate, longest = 32 << 20, 30 * time.Second
	download := time.Duration(float64(size) / rate * float64(time.Second))
	return max(0, min(download, longest, left/4)) // no time is left, or less: see Instant.Within
}

// timeLeft is how much time ctx has.
func timeLeft(ctx context.Context) time.Duration {
	if t, ok := ctx.Deadline(); ok {
		return time.Until(t)
	}
	return Immutable
}

// fetchedMeanwhile waits, if resp brings what another process is downloading, and
// returns that one's copy. Without one the object is to be downloaded here, and done
// to be called after that.
func (c *Cache) fetchedMeanwhile(ctx context.Context, id ID, resp *Response, known *local, left time.Duration) (l *local, done func()) {
	done = func() {}
	if resp.Size < turnFrom || id.Version == "" && strong(resp.ETag) == "" || !c.budget.fits(resp.Size) {
		return nil, done
	}
	t, err := c.store.turns()
	if err != nil {
		c.fault(err)
		return nil, done
	}
	c.takeTurn(ctx, t, turnOf(id), c.patience(resp.Size, left))
	if l := c.arrived(id, resp, known); l != nil {
		t.Close()
		return l, done
	}
	return nil, func() { t.Close() }
}

// takeTurn takes a byte, or gives up after a while.
func (c *Cache) takeTurn(ctx context.Context, t turns, n int64, patience time.Duration) {
	began, pause := c.clock.Now(), time.Millisecond
	for errors.Is(t.Take(n), errLocked) {
		if !began.Within(patience, c.clock.Now()) || !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// sleep reports whether ctx lasted as long.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// arrived returns the copy of what resp brings, if there is one on disk now.
func (c *Cache) arrived(id ID, resp *Response, known *local) *local {
	e, used, err := c.readEntry(id)
	switch {
	case err != nil,
		known != nil && known.data == e.data,
		e.size != resp.Size,
		id.Version == "" && e.etag != resp.ETag:
		return nil
	}
	return &local{entry: e, touched: used.UnixNano()}
}

// turnOf returns the number of the byte for an object.
func turnOf(id ID) int64 {
	sum := sha256.Sum256([]byte(id.key()))
	return int64(binary.BigEndian.Uint64(sum[:]) >> 2)
}

// turns opens the file, and makes what is missing.
func (s *store) turns() (turns, error) {
	path := filepath.Join(s.root, "turns")
	err := s.check()
	if err == nil {
		return s.disk.Turns(path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := s.mkdirAll(s.root); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return s.disk.Turns(path)
}
