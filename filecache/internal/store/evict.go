package store

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// evictable is a copy as eviction sees it.
type evictable struct {
	key  Key
	data string
	size int64
	used time.Time
}

// evict removes copies, least recently used first, until need bytes have room.
// If there cannot be room for them, it removes none.
func (s *Store) evict(need int64) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.budget.forget()
	copies := s.sweep()
	for _, victim := range s.victims(copies, need) {
		s.evictOne(victim)
	}
}

// victims chooses the copies to evict. To read all entries for every object that
// is to come would take long with thousands of them, so some more go, but neither
// more than a sixteenth of them nor of the room. Files that are open stay:
// removing them would free nothing yet.
func (s *Store) victims(copies []evictable, need int64) []evictable {
	b := &s.budget
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
		if !s.index.isOpen(v.data) && !s.pinned(v.data) {
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
func (s *Store) evictOne(v evictable) {
	s.exclusively(v.data, func() {
		err := s.remove(entryPath(v.key.entryName()))
		if err == nil {
			s.evictions.Add(1)
			s.index.because(v.key, Evicted)
			s.index.unknow(v.key, v.data)
			err = s.remove(dataPath(v.data))
		}
		if err != nil {
			s.fault(err)
			return
		}
		s.unlinked(v.data)
	})
}

// sweepAge is the age at which a file that nobody refers to is litter: whoever
// was about to refer to it has been gone for longer than an invocation may take.
const sweepAge = clock.LongestInvocation

// sweep returns what the directory has, and removes what killed processes left
// of it. The caller holds publishing.
func (s *Store) sweep() []evictable {
	names, err := s.disk.ReadDir(entryDir)
	if err != nil {
		s.fault(err)
		return nil
	}
	var copies []evictable
	referred, unread := map[string]bool{}, false
	for _, name := range names {
		if !isEntryFile(name) {
			continue
		}
		e, used, err := s.read(name)
		switch {
		case err == nil:
			referred[e.data] = true
			copies = append(copies, evictable{e.key, e.data, e.size, used})
		case !errors.Is(err, errEntry):
			s.faultUnlessNotExist(err)
			unread = unread || !errors.Is(err, fs.ErrNotExist)
		case s.isLitter(entryPath(name)):
			s.fault(s.remove(entryPath(name)))
		}
	}
	if !unread { // else it is not known which data is referred to
		s.sweepData(referred)
	}
	return copies
}

func (s *Store) sweepData(referred map[string]bool) {
	names, err := s.disk.ReadDir(dataDir)
	s.fault(err)
	for _, name := range names {
		if isDataFile(name) && !referred[name] && s.isLitter(dataPath(name)) {
			s.unlink(name)
		}
	}
}

// isLitter reports whether a file that nobody refers to is old enough to go.
func (s *Store) isLitter(path string) bool {
	info, err := s.disk.Lstat(path)
	return err == nil && !info.Mode.IsDir() && time.Unix(0, s.clock.Now().Wall).Sub(info.ModTime) >= sweepAge
}

// isEntryFile and isDataFile report whether a Store may have made a file of that name.
// It leaves all others alone, whoever made them.
func isEntryFile(name string) bool {
	return isEntryName(name) || strings.HasPrefix(name, disk.TempPrefix)
}

func isDataFile(name string) bool {
	for _, suffix := range sideFiles {
		name = strings.TrimSuffix(name, suffix)
	}
	return isDataName(name) || strings.HasPrefix(name, disk.TempPrefix)
}
