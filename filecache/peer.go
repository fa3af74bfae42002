package filecache

import (
	"context"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

// If several processes miss the same large object at the same time, one of them
// downloads it, and the others use its copy. By then each has sent a request and knows
// the current ETag, so it can use any copy with that ETag. For small objects a lock
// costs more than it saves.
//
// The lock only saves work. A process that waits for a frozen one continues without the
// lock after a while. On systems without such locks, every process downloads.

// lockFrom is the size from which processes lock a download.
const lockFrom = 1 << 20

// lockWait returns how long to wait for another process that downloads size bytes:
// about as long as the download takes, so that a frozen process at most doubles the
// time, and at most a quarter of the time that the caller has left.
func lockWait(size int64, left time.Duration) time.Duration {
	const rate, longest = 32 << 20, 30 * time.Second
	download := time.Duration(float64(size) / rate * float64(time.Second))
	return max(0, min(download, longest, left/4)) // no time is left, or less: see Instant.Within
}

// timeLeft returns the time until deadline; a zero deadline means no limit.
func timeLeft(deadline time.Time) time.Duration {
	if deadline.IsZero() {
		return Immutable
	}
	return time.Until(deadline)
}

// awaitPeer waits if another process is downloading the version of resp, and returns its
// copy. If it returns no copy, the caller must download the object and then call done.
func (c *Cache) awaitPeer(ctx context.Context, id ID, resp *Response, known *store.Copy, left time.Duration) (l *store.Copy, done func()) {
	done = func() {}
	size := resp.Size
	if size < 0 { // making a derived object has no expected time
		size = blocks.MaxObject
	} else if size < lockFrom || !c.store.Fits(size) {
		return nil, done
	}
	if id.Version == "" && strong(resp.ETag) == "" {
		return nil, done
	}
	lock := c.store.DownloadLock(store.Key(id))
	c.acquire(ctx, lock, c.lockWait(size, left))
	if l := c.arrived(id, resp, known); l != nil {
		lock.Release()
		return l, done
	}
	return nil, lock.Release
}

// acquire acquires the lock, or gives up after wait.
func (c *Cache) acquire(ctx context.Context, lock store.DownloadLock, wait time.Duration) {
	began, pause := c.clock.Now(), time.Millisecond
	for !lock.TryAcquire() {
		if !began.Within(wait, c.clock.Now()) || !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// sleep waits for d. It returns false if ctx ends first.
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

// arrived returns the copy on disk with the version of resp, or nil.
func (c *Cache) arrived(id ID, resp *Response, known *store.Copy) *store.Copy {
	l := c.store.Peek(store.Key(id))
	switch {
	case l == nil,
		l.Is(known),
		resp.Size >= 0 && l.Size() != resp.Size,
		id.Version == "" && l.ETag() != resp.ETag:
		return nil
	}
	return l
}
