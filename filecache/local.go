package filecache

import (
	"errors"
	"io/fs"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// local is what this process knows of a copy on disk. It is never changed: who
// learns more makes a new one.
type local struct {
	*entry
	validity
	fetched bool        // by this process
	touched int64       // when its use was last noted on disk, Unix nanoseconds
	stamp   stamp       // of the data file when checked was begun
	checked *blocks.Set // nil until it is opened
}

// stamp is what changes when anybody changes a file or puts another in its place.
type stamp struct {
	dev, ino           uint64
	size, mtime, ctime int64
}

// racyWindow is how coarse the time of change of a file may be. A file changed
// that shortly before it was verified can have been changed again after, and
// look the same. It is verified again until it is older. (Kernels before 6.13
// count in ticks of 4 to 10 ms.)
const racyWindow = int64(20 * time.Millisecond)

// holds reports whether the blocks verified then can be relied on now that the
// file looks like st.
func (l *local) holds(st stamp) bool {
	return l.checked != nil && l.stamp == st && st.ctime+racyWindow <= l.checked.Since
}

// touchEvery is how often at most the use of a copy is noted on disk, where
// eviction finds it.
const touchEvery = int64(10 * time.Second)

// lookup returns the copy of id that this process knows, if any.
func (c *Cache) lookup(id ID) *local {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

// find is lookup, and else what another process left on disk. The error is why
// there is none.
func (c *Cache) find(id ID) (*local, error) {
	if l := c.lookup(id); l != nil {
		return l, nil
	}
	e, used, err := c.readEntry(id)
	if err != nil {
		c.absent(err)
		return nil, err
	}
	l := &local{entry: e, validity: validity{asked: c.boot.instant(e)}, touched: used.UnixNano()}
	c.mu.Lock()
	defer c.mu.Unlock()
	if cur := c.known[id]; cur != nil { // came meanwhile
		return cur, nil
	}
	l.void = c.forgotten.since(id, l.asked)
	c.rememberLocked(l)
	return l, nil
}

// findAgain returns what has become of l, which is too old: another process may
// have confirmed, replaced or removed it meanwhile.
func (c *Cache) findAgain(l *local) *local {
	e, used, err := c.readEntry(l.id)
	if errors.Is(err, fs.ErrNotExist) {
		c.forget(l)
		return nil
	}
	if err != nil {
		return l // as it may be, the origin is going to be asked
	}
	n := *l
	if e.data != l.data {
		n = local{touched: used.UnixNano()}
	}
	n.entry, n.validity = e, validity{asked: c.boot.instant(e)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[l.id] != l || c.forgotten.since(l.id, n.asked) || n.asked.Wall <= l.asked.Wall || n.asked.Mono <= l.asked.Mono {
		return l
	}
	c.rememberLocked(&n)
	return &n
}

func (c *Cache) readEntry(id ID) (*entry, time.Time, error) {
	if err := c.store.check(); err != nil {
		return nil, time.Time{}, err
	}
	return c.store.read(entryName(id))
}

// remember keeps l for the next Open.
func (c *Cache) remember(l *local) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rememberLocked(l)
}

func (c *Cache) rememberLocked(l *local) {
	if _, ok := c.known[l.id]; !ok && len(c.known) >= maxKnown {
		clear(c.known)
	}
	c.known[l.id] = l
	delete(c.drops, l.id)
}

// replace remembers l in the place of old, if that is neither replaced nor
// forgotten.
func (c *Cache) replace(old, l *local) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[l.id] == old {
		c.known[l.id] = l
	}
}

// forget drops l from memory, if it is still the known one.
func (c *Cache) forget(l *local) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cur := c.known[l.id]; cur != nil && cur.data == l.data {
		delete(c.known, l.id)
	}
}

// discard drops a copy that cannot be used: from the disk if it is gone or
// damaged, and else, when the disk has a problem of the moment, only from memory.
func (c *Cache) discard(l *local, why error) {
	c.absent(why)
	c.forget(l)
	if !errors.Is(why, errDamaged) && !errors.Is(why, fs.ErrNotExist) {
		return
	}
	c.dropped(l.id, missDamaged)
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if e, _, err := c.readEntry(l.id); err == nil && e.data == l.data {
		c.removeEntry(e)
	}
}

// removeEntry removes an entry and then its data: an entry without data is a
// miss, data without an entry would only be litter. It reports whether the entry
// is gone. The caller holds publishing.
func (c *Cache) removeEntry(e *entry) bool {
	if err := c.store.remove(c.store.entryPath(entryName(e.id))); err != nil {
		c.fault(err)
		return false
	}
	c.unlink(e.data)
	return true
}

// fault counts a failure of the disk.
func (c *Cache) fault(err error) {
	if err == nil || errors.Is(err, errResting) {
		return
	}
	c.stats.fault(err)
	if isOfDirectory(err) {
		c.breaker.failed()
	}
}

// absent is fault where a file that is not there is a plain miss.
func (c *Cache) absent(err error) { c.fault(ignoreNotExist(err)) }
