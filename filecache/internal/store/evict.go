package store

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/warmcache/warmcache/internal/disk"
)

// victim is a copy to be evicted.
type victim struct {
	candidate
	unread bool   // only candidate is known
	data   string // empty if the entry does not decode
	inline bool
	tree   string // empty if it has no tree
	room   room
}

// victimsAtOnce is how many copies are chosen before the first is removed.
const victimsAtOnce = 64

// evict removes the least recently used copies to make room for the missing part of need.
// It reports whether it removed any; need may still not fit. If eviction cannot make
// enough room, it removes none. It may first continue the walk to find old copies.
func (s *Store) evict(missing, need room, walkOn bool) bool {
	if walkOn {
		s.fault(s.budget.walkOn())
	}
	if s.removeLitter(maxLitter) {
		return true
	}
	if need != (room{}) && !need.fits(s.evictable()) {
		return false
	}
	for tried := map[string]bool{}; ; {
		victims := s.victims(missing, tried)
		removed := false
		for _, v := range victims {
			switch err := s.evictOne(v); err {
			case nil:
				removed = true
			case errUsedSince:
				delete(tried, v.name)
			}
		}
		if removed || len(victims) == 0 {
			return removed
		}
	}
}

// MakeRoom evicts copies until the file system has so many bytes free, and returns the
// number of free bytes. If eviction cannot free enough, it evicts nothing.
func (s *Store) MakeRoom(bytes int64) (free int64, err error) {
	_, err = s.budget.scan(bytes)
	s.fault(err)
	for {
		sp, err := s.disk.Space()
		if err != nil {
			s.fault(err)
			return 0, err
		}
		missing := bytes - sp.Free
		if missing > 0 && s.kept.dropAll() {
			continue
		}
		if missing <= 0 || !s.mayFree(missing) || !s.evict(room{bytes: missing}, room{}, true) {
			return sp.Free, nil
		}
	}
}

// mayFree reports whether evicting copies that this process does not have open may free
// need.
func (s *Store) mayFree(bytes int64) bool {
	inUse := s.index.inUseNamed()
	b := &s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.known == nil || bytes <= b.known.bytes-inUse.bytes
}

// evictable returns the room that evicting all copies would free. Copies that this
// process has open are excluded: removing them frees nothing yet.
func (s *Store) evictable() room {
	inUse := s.index.inUseNamed()
	b := &s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	_, limit := b.missing(room{})
	return limit.minus(b.open).minus(b.reserved).minus(inUse)
}

// victims chooses copies to evict among those not yet tried. If they would not free
// enough, it chooses none.
func (s *Store) victims(missing room, tried map[string]bool) []victim {
	var chosen []victim
	var sum room
	for len(chosen) < victimsAtOnce && !missing.fits(sum) {
		if len(chosen) > 0 {
			s.fault(s.budget.walkOn())
		}
		c, ok := s.budget.oldest(tried)
		if !ok {
			s.budget.offer(chosen)
			return nil
		}
		if len(chosen) == 0 && missing.fits(room{c.inline, 1}) && !s.budget.hasTree(c.name) {
			tried[c.name] = true
			return []victim{{candidate: c, unread: true}}
		}
		v, err := s.victim(c)
		switch {
		case err == errUsedSince:
			continue
		case err != nil:
			s.faultUnlessNotExist(err)
		case len(chosen) > 0 && v.data != "" && !v.inline && s.pinned(v.data): // not needed for the first: its removal checks this
		default:
			sum = sum.plus(v.room)
			chosen = append(chosen, v)
		}
		tried[c.name] = true
	}
	return chosen
}

var (
	// errUsedSince means that a candidate was used after it became one. It is a candidate
	// again, with its new time.
	errUsedSince = errors.New("used since")
	// errNotEvicted means that a copy is in use, locked or replaced.
	errNotEvicted = errors.New("not evicted")
)

// victim checks whether an entry can be evicted.
func (s *Store) victim(c candidate) (victim, error) {
	e, info, err := s.read(c.name)
	switch {
	case errors.Is(err, errEntry):
		return victim{candidate: c, room: room{page, 1}}, nil
	case err != nil:
		return victim{}, err
	case s.usedSince(c, info):
		return victim{}, errUsedSince
	}
	tree := s.budget.treeOf(c.name, e.whole)
	if s.index.isOpen(e.data) || s.index.isTreeInUse(tree) {
		return victim{}, fs.ErrNotExist
	}
	return victim{candidate: c, data: e.data, inline: e.inline, tree: tree, room: e.room().plus(treeRoom(tree))}, nil
}

// usedSince reports whether a candidate was used after it became one. If so, it becomes a
// candidate with its new time.
func (s *Store) usedSince(c candidate, now disk.Info) bool {
	at := now.ModTime.UnixNano()
	if at <= c.used {
		return false
	}
	c.used = at
	s.budget.offer([]victim{{candidate: c}})
	return true
}

// evictOne removes a copy unless it has been replaced or is in use. It removes the entry
// first: an entry without data is a miss, data without an entry is litter.
func (s *Store) evictOne(v victim) (err error) {
	if v.tree != "" {
		remove, ok := s.lockTree(v.tree)
		if !ok {
			return errNotEvicted
		}
		defer func() { remove(err == nil) }() // once the entry is unlocked
	}
	lock, ok := s.tryLockEntry(v.name)
	if !ok { // another process is changing it
		return errNotEvicted
	}
	defer lock.Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	e, info, err := s.read(v.name)
	switch {
	case errors.Is(err, errEntry) && v.data == "":
		return s.removeEntryFile(v.name)
	case err != nil:
		s.faultUnlessNotExist(err)
		return err
	case v.unread && s.usedSince(v.candidate, info):
		return errUsedSince
	case !v.unread && e.data != v.data, s.index.isOpen(e.data):
		return errNotEvicted
	case e.inline:
		return s.evictEntry(e)
	}
	err = errNotEvicted
	s.exclusively(e.data, func() {
		if err = s.evictEntry(e); err != nil {
			return
		}
		if err := s.remove(dataPath(e.data)); err != nil {
			s.fault(err)
			return
		}
		s.unlinked(e.data)
	})
	return err
}

// evictEntry removes the entry of an evicted copy. The caller holds changing.
func (s *Store) evictEntry(e *entry) error {
	if err := s.removeEntryFile(entryOf(e.data)); err != nil {
		s.fault(err)
		return err
	}
	s.evictions.Add(1)
	s.index.evicted(e.key, e.data)
	return nil
}

// removeLitter removes up to n unreferenced files, and reports whether it removed any.
func (s *Store) removeLitter(n int) (removed bool) {
	for _, path := range s.budget.takeLitter(n) {
		dir, name, _ := strings.Cut(path, "/")
		switch {
		case dir == treeDir:
			removed = s.sweepTree(name) || removed
		case dir == dataDir && isDataName(name):
			removed = s.removeOrphan(name) || removed
		default:
			removed = s.removeTemp(path) || removed
		}
	}
	return removed
}

// removeOrphan removes a data file unless its entry refers to it. A live process that is
// about to write that entry holds its lock. Without locks, the file must be old.
func (s *Store) removeOrphan(data string) bool {
	lock, ok := s.tryLockEntry(entryOf(data))
	if !ok {
		return false
	}
	defer lock.Release()
	if !lock.sure && !s.budget.isOldFile(dataPath(data)) {
		return false
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	switch e, _, err := s.read(entryOf(data)); {
	case err == nil && !e.refersTo(data), errors.Is(err, fs.ErrNotExist):
		if !s.unlink(data) {
			return false
		}
		s.removeEntryOf(data) // a process with a late lock may have added it meanwhile
		return true
	case errors.Is(err, errEntry):
		return s.removeEntryFile(entryOf(data)) == nil && s.unlink(data)
	}
	return false
}

// removeTemp removes an old file under construction, or an old file that a program left
// beside a data file.
func (s *Store) removeTemp(path string) bool {
	s.changing.Lock()
	defer s.changing.Unlock()
	if !s.budget.isOldFile(path) {
		return false
	}
	dir, name, _ := strings.Cut(path, "/")
	if dir == dataDir && !s.layout.unlink(name) || dir == entryDir && s.remove(path) != nil {
		return false
	}
	s.budget.removed(otherID(name), 0)
	return true
}

// reserve reserves room, evicting copies if it must. It reports whether it succeeded.
func (s *Store) reserve(need room) bool {
	walked, err := s.budget.scan(need.bytes)
	s.fault(err)
	s.removeLitter(litterAtOnce)
	for {
		missing, possible := s.budget.reserve(need)
		if missing.fits(room{}) {
			return true
		}
		if s.kept.dropAll() {
			continue
		}
		if !possible || !s.evict(missing, need, !walked) {
			return false
		}
		walked = false
	}
}

// Fits reports whether an object of size bytes can be stored, after eviction.
func (s *Store) Fits(size int64) bool {
	b := &s.budget
	_, err := b.scan(size)
	s.fault(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	_, limit := b.missing(room{})
	return roomFor(size).fits(limit)
}

// offer returns a candidate to the pool.
func (b *budget) offer(vs []victim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, v := range vs {
		b.pool.offer(v.candidate)
	}
}
