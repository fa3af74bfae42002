package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"math"

	"github.com/warmcache/warmcache/internal/clock"
)

// Forget removes the local copy of obj, for use after the object was replaced
// at the origin. No Open of this Cache that starts after it uses what was
// fetched before it, by whichever process, and even if the disk refuses to
// remove the copy: a download under way is not joined any more and not kept.
// Other processes may go on using a copy that they have open or know of, until
// it is MaxAge old. The one error is that obj is not usable.
func (c *Cache) Forget(obj Object) error {
	id, err := c.identify(obj)
	if err != nil {
		return fmt.Errorf("filecache.Forget: %w", err)
	}
	c.flights.Invalidate(id.key()) // first: see flight.Call.Claim
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	c.forgotten.add(id, c.clock.Now())
	delete(c.known, id)
	c.droppedLocked(id, missForgotten)
	c.mu.Unlock()
	c.removeCopy(id)
	return nil
}

// Clear removes all local copies, as Forget does.
func (c *Cache) Clear() {
	c.flights.InvalidateAll()
	c.publishing.Lock()
	defer c.publishing.Unlock()
	c.mu.Lock()
	c.forgotten.addAll(c.clock.Now())
	for id := range c.known {
		c.droppedLocked(id, missForgotten)
	}
	clear(c.known)
	c.mu.Unlock()
	c.fault(c.removeAll())
	c.budget.forget()
}

// removeAll removes all entries, then all data but what programs have paths of.
func (c *Cache) removeAll() error {
	if err := c.store.check(); err != nil {
		return ignoreNotExist(err)
	}
	names, err := c.store.disk.ReadDir(c.store.entries())
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, name := range names {
		err = errors.Join(err, c.store.remove(c.store.entryPath(name)))
	}
	names, derr := c.store.disk.ReadDir(c.store.data())
	for _, name := range names {
		c.unlink(name)
	}
	return errors.Join(err, ignoreNotExist(derr))
}

// gone removes the copy of an object that the origin no longer has, as the
// flight of s learned by err; it leaves alone what came after that flight was
// dropped. It returns what the flight brings home.
func (c *Cache) gone(s *seat, id ID, v validity, err error) (source, error) {
	c.publishing.Lock()
	defer c.publishing.Unlock()
	if s.Revoked() {
		return source{}, errDropped
	}
	removed := c.removeCopy(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, id)
	if !removed { // it must not come back when the origin fails
		c.forgotten.add(id, c.clock.Now())
	}
	return source{validity: v}, err
}

// removeCopy removes the entry of id, and the data if the entry tells it. An
// entry that cannot be read now could be read later: it goes as well. It reports
// whether there is none now. The caller holds publishing.
func (c *Cache) removeCopy(id ID) bool {
	e, _, err := c.readEntry(id)
	if err == nil {
		return c.removeEntry(e)
	}
	c.absent(err)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err = c.store.check(); err == nil {
		err = c.store.remove(c.store.entryPath(entryName(id)))
		c.fault(err)
	}
	return err == nil
}

// forgotten knows when copies were forgotten. A process that fetched before that
// may publish after it, and a disk may refuse to remove an entry: either way, what
// such an entry says must not be relied on.
type forgotten struct {
	ids map[ID]clock.Instant
	all clock.Instant // when all others were
}

// maxForgotten bounds the memory for that.
const maxForgotten = 1024

func newForgotten() forgotten {
	return forgotten{ids: map[ID]clock.Instant{}, all: clock.Instant{Wall: math.MinInt64, Mono: math.MinInt64}}
}

func (f *forgotten) add(id ID, at clock.Instant) {
	if len(f.ids) >= maxForgotten {
		f.addAll(at)
		return
	}
	f.ids[id] = later(f.moment(id), at)
}

func (f *forgotten) addAll(at clock.Instant) {
	for _, m := range f.ids {
		at = later(at, m)
	}
	clear(f.ids)
	f.all = later(f.all, at)
}

func (f *forgotten) moment(id ID) clock.Instant {
	if m, ok := f.ids[id]; ok {
		return m
	}
	return f.all
}

// since reports whether id may have been forgotten since its copy was validated:
// it has not only if both clocks say so.
func (f *forgotten) since(id ID, validated clock.Instant) bool {
	m := f.moment(id)
	return validated.Wall <= m.Wall || validated.Mono <= m.Mono
}

// later returns an instant that is no earlier than a and b on either clock.
func later(a, b clock.Instant) clock.Instant {
	return clock.Instant{Wall: max(a.Wall, b.Wall), Mono: max(a.Mono, b.Mono)}
}
