package filecache

import (
	"context"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

// Of the processes that miss the same large object at the same time, one downloads
// it, and the others use its copy. Each has asked the origin by then and knows which
// version is current, so a copy with the same ETag is as good as the one it was about
// to receive. Small objects have arrived before a lock would pay.
//
// The lock only saves work. A process that waits for a frozen one goes on without the
// lock after a while, and where there are no such locks every process downloads.

// lockFrom is the size from which processes lock a download.
const lockFrom = 1 << 20

// lockWait is how long to wait for another process that downloads size bytes, if
// the caller has that much time left: about as long as the download takes, so that a
// frozen process at worst doubles the time, and so that the time that is left does.
func lockWait(size int64, left time.Duration) time.Duration {
	const rate, longest = 32 << 20, 30 * time.Second
	download := time.Duration(float64(size) / rate * float64(time.Second))
	return max(0, min(download, longest, left/4)) // no time is left, or less: see Instant.Within
}

// timeLeft is how much time is left until deadline; zero means that there is none.
func timeLeft(deadline time.Time) time.Duration {
	if deadline.IsZero() {
		return Immutable
	}
	return time.Until(deadline)
}

// awaitPeer waits if another process is downloading what resp brings, and returns that
// process's copy. Without a copy, the caller downloads the object and then calls done.
func (c *Cache) awaitPeer(ctx context.Context, id ID, resp *Response, known *store.Copy, left time.Duration) (l *store.Copy, done func()) {
	done = func() {}
	size := resp.Size
	if size < 0 { // it may take as long as it likes to make it
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

// acquire acquires the lock, or gives up after that wait.
func (c *Cache) acquire(ctx context.Context, lock store.DownloadLock, wait time.Duration) {
	began, pause := c.clock.Now(), time.Millisecond
	for !lock.TryAcquire() {
		if !began.Within(wait, c.clock.Now()) || !sleep(ctx, pause) {
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
