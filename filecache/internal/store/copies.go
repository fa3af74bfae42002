package store

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// Reason returns why there is no copy of k, if err is why none could be found or
// opened.
func (s *Store) Reason(k Key, err error) Reason {
	switch {
	case errors.Is(err, errEntry), errors.Is(err, ErrDamaged):
		return Damaged
	case ignoreNotExist(err) != nil:
		return NoDisk
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.reasons[k] // Absent if it is not known
}

// IsInvalidatedSince reports whether k may have been invalidated since at.
func (s *Store) IsInvalidatedSince(k Key, at clock.Instant) bool {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.invalidated.since(k, at)
}

// ErrRevoked is the error of publishing or confirming a copy for a flight that was
// revoked.
var ErrRevoked = errors.New("invalidated during the download")

// Lookup returns the copy of k that this process knows, or nil.
func (s *Store) Lookup(k Key) *Copy {
	s.kept.dropOld(s.clock.Now)
	return s.index.lookup(k)
}

// Find returns the copy of k that this process knows, or else the one that another
// process left on disk. The error is why there is none.
func (s *Store) Find(k Key) (*Copy, error) {
	if c := s.Lookup(k); c != nil {
		return c, nil
	}
	c, err := s.load(k)
	if err != nil {
		s.faultUnlessNotExist(err)
		return nil, err
	}
	return s.index.found(c), nil
}

// load reads the entry of k.
func (s *Store) load(k Key) (*Copy, error) {
	e, info, err := s.readKey(k)
	if err != nil {
		return nil, err
	}
	c := &Copy{entry: e, Validation: Validation{At: s.boot.instant(e)}, touched: info.ModTime.UnixNano()}
	if e.inline {
		c.fileID = info.ID
	}
	return c, nil
}

// Reread returns the present state of c, which is too old: another process may have
// revalidated, replaced or removed it.
func (s *Store) Reread(c *Copy) *Copy {
	n, err := s.load(c.key)
	if errors.Is(err, fs.ErrNotExist) {
		s.index.unknow(c.key, c.data)
		return nil
	}
	if err != nil {
		return c // the origin is going to be asked
	}
	if n.Is(c) {
		n.fetched, n.touched, n.fileID, n.checked = c.fetched, c.touched, c.fileID, c.checked
	}
	return s.index.renewed(c, n)
}

// Peek returns the copy of k that is on disk now, or nil. Nothing remembers it, and its
// Validation is empty.
func (s *Store) Peek(k Key) *Copy {
	e, info, err := s.readKey(k)
	if err != nil {
		return nil
	}
	return &Copy{entry: e, touched: info.ModTime.UnixNano()}
}

// Revalidated notes that the origin has confirmed c. If persist, other processes
// learn it, too. It fails only if revoked reports true.
func (s *Store) Revalidated(c *Copy, v Validation, persist bool, revoked func() bool) (*Copy, error) {
	e, confirmed := *c.entry, *c
	confirmed.entry, confirmed.Validation = &e, v
	var f disk.NewFile
	if persist {
		s.boot.record(&e, v.At)
		var err error
		if f, err = s.rebuild(c, &e); err != nil {
			s.faultUnlessNotExist(err)
		} else {
			defer f.Close()
		}
		lock := s.lockEntry(e.key.entryName())
		defer lock.Release()
		persist = !lock.late
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if revoked() {
		return nil, ErrRevoked
	}
	replaced := false
	if persist && f != nil {
		var err error
		replaced, err = s.replaceOlder(f, c, &e)
		s.fault(err)
	}
	switch {
	case !replaced:
		e.data = c.data
	case e.inline: // its bytes are in another file now
		confirmed.fetched, confirmed.fileID, confirmed.checked = true, disk.FileID{}, nil
	}
	s.index.remember(&confirmed)
	return &confirmed, nil
}

// rebuild makes the file of e, which is the entry of c but for the time of its
// validation. A file that may be open is never rewritten, so inline bytes are copied,
// and the new file has a data name of its own.
func (s *Store) rebuild(c *Copy, e *entry) (disk.NewFile, error) {
	if !e.inline {
		return s.buildWithRoom(e, nil)
	}
	b, err := s.readInline(c)
	if err != nil {
		return nil, err
	}
	e.data = newDataName(e)
	return s.buildWithRoom(e, b)
}

// replaceOlder gives f the name of e's entry if the present one is an older state of c,
// or cannot be decoded, and reports whether it did. The entry of another copy stays. The
// caller holds changing.
func (s *Store) replaceOlder(f disk.NewFile, c *Copy, e *entry) (replaced bool, err error) {
	name := e.key.entryName()
	present, _, err := s.read(name)
	switch {
	case err == nil && present.data == c.data && present.wall <= e.wall, errors.Is(err, errEntry):
		if err = s.replace(f, name); err == nil {
			s.budget.addOpen(s.index.entryUnlinked(name))
		}
		return err == nil, err
	}
	return false, ignoreNotExist(err)
}

// buildWithRoom makes the file of an entry, if need be in the room of an evicted copy.
func (s *Store) buildWithRoom(e *entry, small []byte) (disk.NewFile, error) {
	f, err := s.build(e, small)
	if s.madeRoom(err, roomFor(int64(len(small)))) {
		f, err = s.build(e, small)
	}
	return f, err
}

// madeRoom reports whether err is that the file system has no room, and as much was made
// by eviction: it is worth trying once more. Other processes and quotas are no part of
// the budget.
func (s *Store) madeRoom(err error, need room) bool {
	return disk.IsFull(err) && (s.kept.dropAll() || s.evict(need, need, true))
}

// Invalidate removes the copy of k. No process that fetched before relies on it, even
// if the disk refuses to remove it.
func (s *Store) Invalidate(k Key) {
	defer s.lockEntry(k.entryName()).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	s.index.invalidate(k, s.clock.Now())
	s.kept.drop(k)
	s.removeCopy(k)
}

// InvalidateAll removes all copies, as Invalidate does. It takes time in proportion to
// their number, during which other calls go on.
func (s *Store) InvalidateAll() {
	s.changing.Lock()
	s.index.invalidateAll(s.clock.Now())
	s.changing.Unlock()
	s.kept.dropAll()
	s.fault(s.removeAll())
	s.SweepTrees()
}

// removeAll removes all entries, then all data but those whose paths programs have.
func (s *Store) removeAll() error {
	err := s.forEach(entryDir, func(name string) error {
		if !isEntryName(name) {
			return nil
		}
		s.changing.Lock()
		defer s.changing.Unlock()
		return s.removeEntryFile(name)
	})
	return errors.Join(err, s.forEach(dataDir, func(name string) error {
		if isDataName(name) {
			s.removeOrphan(name)
		}
		return nil
	}))
}

// forEach calls do with each name in a directory, and returns the last error.
func (s *Store) forEach(dir string, do func(name string) error) error {
	l, err := s.disk.List(dir)
	if err != nil {
		return ignoreNotExist(err)
	}
	defer l.Close()
	for {
		names, end := l.Next()
		if end == io.EOF {
			return err
		}
		if end != nil {
			return end
		}
		for _, name := range names {
			if e := do(name); e != nil {
				err = e
			}
		}
	}
}

// Remove removes the copy of an object that the origin no longer has. It leaves alone
// what came after the flight was revoked that learned so; its one error is ErrRevoked.
func (s *Store) Remove(k Key, revoked func() bool) error {
	defer s.lockEntry(k.entryName()).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	if revoked() {
		return ErrRevoked
	}
	removed := s.removeCopy(k)
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	delete(s.index.known, k)
	if !removed { // it must not come back when the origin fails
		s.index.invalidated.add(k, s.clock.Now())
	}
	return nil
}

// DropCorrupt drops a copy that cannot be used: from the disk if part of it is missing
// or damaged. When the disk has a problem of the moment, it drops the copy only from
// memory. It leaves the copy alone if the caller was out of time.
func (s *Store) DropCorrupt(c *Copy, why error) {
	if errors.Is(why, context.Canceled) || errors.Is(why, context.DeadlineExceeded) {
		return
	}
	s.faultUnlessNotExist(why)
	s.index.unknow(c.key, c.data)
	damaged := errors.Is(why, ErrDamaged)
	if !damaged && !errors.Is(why, fs.ErrNotExist) {
		return
	}
	defer s.lockEntry(c.key.entryName()).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	e, _, err := s.readKey(c.key)
	refers := err == nil && e.data == c.data // else it was evicted or replaced
	if damaged || refers {
		s.index.because(c.key, Damaged)
	}
	if refers {
		s.removeEntry(e)
	}
}

// removeEntry removes an entry and then its data: an entry without data is a
// miss, data without an entry would only be litter. It reports whether the entry
// is removed. The caller holds changing.
func (s *Store) removeEntry(e *entry) bool {
	if err := s.removeEntryFile(e.key.entryName()); err != nil {
		s.fault(err)
		return false
	}
	if !e.inline {
		s.unlink(e.data)
	}
	return true
}

// removeCopy removes the entry of k, and the data if the entry tells it. An
// entry that cannot be read now could be read later: it goes as well. It reports
// whether there is none now. The caller holds changing.
func (s *Store) removeCopy(k Key) bool {
	e, _, err := s.readKey(k)
	if err == nil {
		return s.removeEntry(e)
	}
	s.faultUnlessNotExist(err)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err = s.disk.Check(); err == nil {
		err = s.removeEntryFile(k.entryName())
		s.fault(err)
	}
	return err == nil
}
