package store

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// Reason returns why there is no copy of k. err is the error of Find or Open.
func (s *Store) Reason(k Key, err error) Reason {
	switch {
	case errors.Is(err, errEntry), errors.Is(err, ErrDamaged):
		return Damaged
	case ignoreNotExist(err) != nil:
		return NoDisk
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.reasons[k] // Absent if unknown
}

// IsInvalidatedSince reports whether k may have been invalidated since at.
func (s *Store) IsInvalidatedSince(k Key, at clock.Instant) bool {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	return s.index.invalidated.since(k, at)
}

// ErrRevoked means that the flight was revoked before it could publish or revalidate a
// copy.
var ErrRevoked = errors.New("invalidated during the download")

// Lookup returns the copy of k that this process knows, or nil.
func (s *Store) Lookup(k Key) *Copy {
	s.kept.dropOld(s.clock.Now)
	return s.index.lookup(k)
}

// Find returns the copy of k that this process knows, or else one that another process
// left on disk. The error says why there is none.
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

// Reread returns the current state of c, which is stale. Another process may have
// revalidated, replaced or removed it.
func (s *Store) Reread(c *Copy) *Copy {
	n, err := s.load(c.key)
	if errors.Is(err, fs.ErrNotExist) {
		s.index.dropKnown(c.key, c.data)
		return nil
	}
	if err != nil {
		return c // the caller is about to revalidate it
	}
	if n.Is(c) {
		n.fetched, n.touched, n.fileID, n.checked = c.fetched, c.touched, c.fileID, c.checked
	}
	return s.index.renewed(c, n)
}

// Peek returns the copy of k that is on disk now, or nil. The Store does not remember it,
// and its Validation is empty.
func (s *Store) Peek(k Key) *Copy {
	e, info, err := s.readKey(k)
	if err != nil {
		return nil
	}
	return &Copy{entry: e, touched: info.ModTime.UnixNano()}
}

// Revalidated records that the origin has confirmed c. If persist is true, it also
// records that on disk for other processes. It fails only if revoked reports true.
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
	case e.inline: // its bytes are in another file
		confirmed.fetched, confirmed.fileID, confirmed.checked = true, disk.FileID{}, nil
	}
	s.index.remember(&confirmed)
	return &confirmed, nil
}

// rebuild makes a new file for e, which is the entry of c with a new validation time. A
// file that may be open is never rewritten. So inline bytes are copied, and the new file
// gets a new data name.
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

// replaceOlder gives f the name of e's entry if the present entry is an older state of c
// or does not decode. It reports whether it did. An entry of another copy stays. The
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

// buildWithRoom makes the file of an entry, evicting a copy if there is no room.
func (s *Store) buildWithRoom(e *entry, small []byte) (disk.NewFile, error) {
	f, err := s.build(e, small)
	if s.madeRoom(err, roomFor(int64(len(small)))) {
		f, err = s.build(e, small)
	}
	return f, err
}

// madeRoom reports whether err means that the file system is full and eviction made room,
// so that a retry is worthwhile. The budget does not see other processes' writes, or
// quotas.
func (s *Store) madeRoom(err error, need room) bool {
	return disk.IsFull(err) && (s.kept.dropAll() || s.evict(need, need, true))
}

// Invalidate removes the copy of k. A process that loaded it earlier does not rely on it
// again, even if the disk fails to remove it.
func (s *Store) Invalidate(k Key) {
	defer s.lockEntry(k.entryName()).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	s.index.invalidate(k, s.clock.Now())
	s.kept.drop(k)
	s.removeCopy(k)
}

// InvalidateAll invalidates all copies. It takes time in proportion to their number, and
// does not block other calls meanwhile.
func (s *Store) InvalidateAll() {
	s.changing.Lock()
	s.index.invalidateAll(s.clock.Now())
	s.changing.Unlock()
	s.kept.dropAll()
	s.fault(s.removeAll())
	s.SweepTrees()
}

// removeAll removes all entries, then all data files except those that programs have the
// paths of.
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

// Remove removes the copy of an object that the origin no longer has. A copy published
// after the flight was revoked stays. The only error is ErrRevoked.
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
	if !removed { // otherwise it would be served when the origin fails
		s.index.invalidated.add(k, s.clock.Now())
	}
	return nil
}

// DropCorrupt drops a copy that cannot be used. It removes the copy from disk if part of
// it is missing or damaged. After a transient failure of the disk, it drops the copy from
// memory only. If the caller's context has ended, it does nothing.
func (s *Store) DropCorrupt(c *Copy, why error) {
	if errors.Is(why, context.Canceled) || errors.Is(why, context.DeadlineExceeded) {
		return
	}
	s.faultUnlessNotExist(why)
	s.index.dropKnown(c.key, c.data)
	damaged := errors.Is(why, ErrDamaged)
	if !damaged && !errors.Is(why, fs.ErrNotExist) {
		return
	}
	defer s.lockEntry(c.key.entryName()).Release()
	s.changing.Lock()
	defer s.changing.Unlock()
	e, _, err := s.readKey(c.key)
	refers := err == nil && e.data == c.data // otherwise it was evicted or replaced
	if damaged || refers {
		s.index.because(c.key, Damaged)
	}
	if refers {
		s.removeEntry(e)
	}
}

// removeEntry removes an entry and then its data: an entry without data is a miss, data
// without an entry is litter. It reports whether the entry is removed. The caller holds
// changing.
func (s *Store) removeEntry(e *entry) bool {
	if err := s.removeEntryFile(entryOf(e.data)); err != nil {
		s.fault(err)
		return false
	}
	if !e.inline {
		s.unlink(e.data)
	}
	return true
}

// removeCopy removes the entry of k, and its data if the entry is readable. It also
// removes an unreadable entry, since that may become readable later. It reports whether
// no entry is left. The caller holds changing.
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
