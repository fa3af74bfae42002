package filecache

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"time"
)

// evictable is a copy as eviction sees it.
type evictable struct {
	id   ID
	data string
	size int64
	used time.Time
}

// evict removes copies, least recently used first, until need bytes have room.
// If there cannot be room for them, it removes none.
func (c *Cache) evict(need int64) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.budget.forget()
	copies := c.sweep()
	for _, victim := range c.victims(copies, need) {
		c.evictOne(victim)
	}
}

// victims chooses the copies to evict. To read all entries for every object that
// is to come would take long with thousands of them, so some more go, but neither
// more than a sixteenth of them nor of the room. Files that are open stay:
// removing them would free nothing yet.
func (c *Cache) victims(copies []evictable, need int64) []evictable {
	b := &c.budget
	b.mu.Lock()
	missing, limit := b.missing(need)
	b.mu.Unlock()
	if missing <= 0 {
		return nil
	}
	slices.SortFunc(copies, func(a, b evictable) int {
		return cmp.Or(a.used.Compare(b.used), cmp.Compare(a.data, b.data))
	})
	var sum int64
	var chosen []evictable
	for _, v := range copies {
		if sum >= missing && (len(chosen) >= len(copies)/16 || sum+onDisk(v.size) > missing+limit/16) {
			return chosen
		}
		if !c.isOpen(v.data) && !c.store.pinned(v.data) {
			sum += onDisk(v.size)
			chosen = append(chosen, v)
		}
	}
	if sum < missing {
		return nil
	}
	return chosen
}

// evictOne removes a copy, unless somebody has come for its path. The entry goes
// first: without its data it would be a miss, but the data without it only litter.
func (c *Cache) evictOne(v evictable) {
	c.store.exclusively(v.data, func() {
		err := c.store.remove(c.store.entryPath(entryName(v.id)))
		if err == nil {
			c.stats.evictions.Add(1)
			c.dropped(v.id, missEvicted)
			c.forget(&local{entry: &entry{id: v.id, data: v.data}})
			err = c.store.remove(c.store.dataPath(v.data))
		}
		if err != nil {
			c.fault(err)
			return
		}
		c.unlinked(v.data)
	})
}

// sweepAge is the age at which a file that nobody refers to is litter: whoever
// was about to refer to it has been gone for longer than an invocation may take.
const sweepAge = maxFlight

// sweep returns what the directory has, and removes what killed processes left
// of it. The caller holds publishing.
func (c *Cache) sweep() []evictable {
	names, err := c.store.disk.ReadDir(c.store.entries())
	if err != nil {
		c.fault(err)
		return nil
	}
	var copies []evictable
	referred, unread := map[string]bool{}, false
	for _, name := range names {
		e, used, err := c.store.read(name)
		switch {
		case err == nil:
			referred[e.data] = true
			copies = append(copies, evictable{e.id, e.data, e.size, used})
		case !errors.Is(err, errEntry):
			c.absent(err)
			unread = unread || !errors.Is(err, fs.ErrNotExist)
		case c.isLitter(c.store.entryPath(name)):
			c.fault(c.store.remove(c.store.entryPath(name)))
		}
	}
	if !unread { // else it is not known which data is referred to
		c.sweepData(referred)
	}
	return copies
}

func (c *Cache) sweepData(referred map[string]bool) {
	names, err := c.store.disk.ReadDir(c.store.data())
	c.fault(err)
	for _, name := range names {
		if !referred[name] && c.isLitter(c.store.dataPath(name)) {
			c.unlink(name)
		}
	}
}

// isLitter reports whether a file that nobody refers to is old enough to go.
func (c *Cache) isLitter(path string) bool {
	fi, err := c.store.disk.Lstat(path)
	return err == nil && !fi.IsDir() && time.Unix(0, c.clock.Now().Wall).Sub(fi.ModTime()) >= sweepAge
}
