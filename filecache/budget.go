package filecache

import (
	"cmp"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// budget keeps the disk space within bounds. Room is reserved before a byte is
// written. How much is used is learned when a download first needs room, from
// the names of the data files, and again now and then, since other processes may
// share the directory: between their looks they can overshoot by what each wrote.
type budget struct {
	max   int64 // zero: by the file system
	store *store
	clock *clock.Clock

	mu       sync.Mutex
	learned  clock.Instant
	known    bool
	used     int64
	reserved int64
}

// relearn is how long the sum of what is used is relied on.
const relearn = 30 * time.Second

// onDisk is what a file of that size takes, with its entry.
func onDisk(size int64) int64 {
	const page = 4 << 10
	return (size+page-1)/page*page + page
}

func (b *budget) use(size int64)       { b.add(&b.used, onDisk(size)) }
func (b *budget) free(size int64)      { b.add(&b.used, -onDisk(size)) }
func (b *budget) unreserve(size int64) { b.add(&b.reserved, -onDisk(size)) }

func (b *budget) add(n *int64, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n += size
}

// forget makes the next reservation look at the directory again.
func (b *budget) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known = false
}

// reserve takes room for an object of that size, by eviction if it must. It
// reports whether there is any.
func (c *Cache) reserve(size int64) bool {
	need := onDisk(size)
	b := &c.budget
	room, limit := b.reserve(need)
	if !room && need <= limit {
		c.evict(need)
		room, _ = b.reserve(need)
	}
	return room
}

func (b *budget) reserve(need int64) (ok bool, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learn()
	limit = b.limit()
	if b.used+b.reserved+need > limit {
		return false, limit
	}
	b.reserved += need
	return true, limit
}

// learn sums up the data files if that was not done lately. The caller holds mu.
func (b *budget) learn() {
	now := b.clock.Now()
	if b.known && b.learned.Within(relearn, now) {
		return
	}
	names, err := b.store.disk.ReadDir(b.store.data())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // what cannot be read cannot be written to either: that will show
	}
	b.used = 0
	for _, name := range names {
		b.used += onDisk(sizeInName(name))
	}
	b.known, b.learned = true, now
}

// sizeInName returns the size that dataName put into a name, or zero.
func sizeInName(name string) int64 {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return 0
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n < 0 || n > maxSize {
		return 0
	}
	return n
}

// limit is what may be used in all: the user's bound or the default, and never
// more than leaves a twentieth of the file system to the function itself. The
// caller holds mu.
func (b *budget) limit() int64 {
	sp, err := b.space(b.store.root)
	if err != nil {
		return b.max // unknown; writing will show
	}
	there := b.used + sp.free
	limit := there - sp.total/20
	if b.max > 0 {
		return min(limit, b.max)
	}
	share := there / 4 * 3
	if sp.memory {
		share = there / 4
	}
	return min(limit, share, 8<<30)
}

// space returns the space of the file system that path is on, or will be.
func (b *budget) space(path string) (space, error) {
	sp, err := b.store.disk.Space(path)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		return b.space(filepath.Dir(path))
	}
	return sp, err
}

// evictable is a copy as eviction sees it.
type evictable struct {
	entry *entry
	used  time.Time
}

// sweepAge is the age at which a file that nobody refers to is litter: whoever
// was about to refer to it has been gone for longer than an invocation may take.
const sweepAge = maxFlight

// evict removes copies, least recently used first, until need bytes have room.
// Files that are open stay: removing them would free nothing yet.
func (c *Cache) evict(need int64) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.budget.forget()
	copies := c.sweep()
	slices.SortFunc(copies, func(a, b evictable) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.entry.data, b.entry.data))
	})
	for _, victim := range copies {
		if c.budget.fits(need) {
			return
		}
		if c.isOpen(victim.entry.data) || c.store.pinned(victim.entry.data) {
			continue
		}
		if c.removeEntry(victim.entry) == nil {
			c.stats.evictions.Add(1)
			c.forget(&local{entry: victim.entry})
		}
	}
}

// fits reports whether need bytes could be reserved now.
func (b *budget) fits(need int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.learn()
	return b.used+b.reserved+need <= b.limit()
}

func (c *Cache) isOpen(data string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[data] > 0
}

// sweep returns what the directory has, and removes what killed processes left
// of it. The caller holds publishing.
func (c *Cache) sweep() []evictable {
	names, err := c.store.disk.ReadDir(c.store.entries())
	if err != nil {
		c.fault(err)
		return nil
	}
	var copies []evictable
	referred := map[string]bool{}
	for _, name := range names {
		e, used, err := c.store.read(name)
		if err != nil {
			if path := c.store.entryPath(name); c.isLitter(path) {
				c.fault(c.store.remove(path))
			}
			continue
		}
		referred[e.data] = true
		copies = append(copies, evictable{e, used})
	}
	names, err = c.store.disk.ReadDir(c.store.data())
	c.fault(err)
	for _, name := range names {
		if !referred[name] && c.isLitter(c.store.dataPath(name)) {
			c.store.unlink(name)
		}
	}
	return copies
}

// isLitter reports whether a file that nobody refers to is old enough to go.
func (c *Cache) isLitter(path string) bool {
	fi, err := c.store.disk.Lstat(path)
	return err == nil && !fi.IsDir() && time.Unix(0, c.clock.Now().Wall).Sub(fi.ModTime()) >= sweepAge
}
