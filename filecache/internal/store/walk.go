package store

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// The Store never lists all files at once. A walk cycles through the directory, a few
// names at each reservation. It sums up the used room, and collects the oldest entries as
// candidates for eviction. So an eviction takes as long with a hundred copies as with a
// hundred thousand. Among many copies, the evicted one is among the oldest, but not
// always the oldest.

const (
	// firstStep is how many names a process reads before its first eviction. With fewer
	// files, it evicts the very oldest.
	firstStep = 256
	// minStep is how many names each reservation reads during a round, while no other
	// process adds files. More names would make the evicted copies older, but hardly
	// improve the hit ratio.
	minStep = 8
	// maxStep is the maximum, with other processes.
	maxStep = 64
	// unknownStep replaces minStep while the used room is unknown. Each new copy may
	// then evict another one needlessly.
	unknownStep = 64
	// maxSearch is how many names an eviction reads to find a copy that is not in use.
	maxSearch = 8 << 10
	// A round knows most entries from the round before. It reads the attributes of every
	// refreshEvery-th of them again, in turn. Each step also reads those of up to
	// refreshPerStep entries that may be old.
	refreshEvery   = 8
	refreshPerStep = 2
	// litterAtOnce is how many litter files a reservation removes.
	litterAtOnce = 2
	maxLitter    = 1024
)

// The sum is trusted for rescanAfter, or until this process and others have probably added
// a rescanPart-th of the limit.
const (
	rescanAfter = 30 * time.Second
	rescanPart  = 16
)

// scan continues the walk if the sum is unknown or old, and reports whether it did. It
// reads more names for larger objects, which take longer to download. An error means that
// the directory cannot be read now.
func (b *budget) scan(need int64) (walked bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := b.stepSize()
	switch {
	case b.known == nil && b.round == nil:
		n = firstStep
	case b.known == nil:
		n = unknownStep
	case b.round == nil && b.added <= b.trusted() && b.began.Within(rescanAfter, b.clock.Now()):
		return false, nil
	}
	return true, b.step(max(n, int(min(need/page, 1<<20))))
}

// stepSize returns how many names to read at once. With eight more names for each entry
// that other processes add while this one adds one, a round is complete before they have
// added an eighth of the limit. The caller holds mu.
func (b *budget) stepSize() int {
	return min(minStep+8*b.others/max(b.own, 1), maxStep)
}

// trusted returns how many bytes this process may add before the next round. The caller
// holds mu.
func (b *budget) trusted() int64 {
	return b.last.bytes / rescanPart / int64(1+b.others/max(b.own, 1))
}

// step reads n names, or fewer at the end of a round. The caller holds mu.
func (b *budget) step(n int) error {
	b.refreshes = refreshPerStep
	for n > 0 {
		if b.round == nil {
			b.round, b.began, b.added = newSum(), b.clock.Now(), 0
			b.owners = map[uint64]bool{}
		}
		dir, names, last, err := b.walk.next(n)
		if err != nil {
			b.round = nil
			if b.known == nil { // a directory that cannot be read cannot be written either: the write will fail
				b.known = newSum()
			}
			b.began.Wall -= int64(rescanAfter)
			return err
		}
		for _, name := range names {
			b.see(dir, name)
		}
		if last {
			b.known, b.round = b.round, nil
			b.duplicates = b.owners
			b.rounds++
			b.own, b.others = b.own/2, b.others/2 // recent files count more
			return nil
		}
		n -= len(names)
	}
	return nil
}

// see adds a name to the sum of the round.
func (b *budget) see(dir, name string) {
	switch {
	case dir == entryDir && isEntryName(name):
		b.seeEntry(name)
	case dir == dataDir && isDataName(name):
		path := dataPath(name)
		if _, err := b.disk.Lstat(path); err != nil { // see disk.Listing
			return
		}
		b.round.add(dataID(name), pages(sizeInName(name)), 0)
		info, err := b.disk.Lstat(entryPath(entryOf(name)))
		if err == nil { // keeps the pool filled while the walk is in this directory
			b.pool.offer(newCandidate(entryOf(name), info))
		}
		if b.another(name) || errors.Is(err, fs.ErrNotExist) || err == nil && !mayReferTo(info) {
			b.dispose(path)
		}
	case dir == treeDir:
		b.seeTree(name)
	case disk.OwnTemp(name): // its room is reserved
	default:
		path := dir + "/" + name
		info, err := b.disk.Lstat(path)
		if err != nil {
			return
		}
		b.round.add(otherID(name), pages(info.Size), 0)
		if isTemp(name) && b.isOld(info) {
			b.dispose(path)
		}
	}
}

// seeEntry adds the name of an entry to the sum of the round. The entry may have been
// removed, or have another size, if the round before knows it.
func (b *budget) seeEntry(name string) {
	id := entryID(name)
	c, known := b.known.get(id)
	if known && (id+uint64(b.rounds))%refreshEvery != 0 {
		if b.refreshes == 0 || !b.pool.mayTake(c.used) {
			b.round.set(id, c)
			return
		}
		b.refreshes--
	}
	info, err := b.disk.Lstat(entryPath(name))
	if err != nil {
		return
	}
	if !known && b.known != nil {
		b.others++
	}
	found := newCandidate(name, info)
	b.round.add(id, pages(info.Size), tickOf(found.used))
	b.pool.offer(found)
}

// dispose adds a file to the litter, unless the list is full. The next round finds it
// again.
func (b *budget) dispose(path string) {
	if len(b.litter) < maxLitter && !slices.Contains(b.litter, path) {
		b.litter = append(b.litter, path)
	}
}

// another reports whether the entry of a data file may refer to a second data file. This
// round, or the one before, has met both.
func (b *budget) another(data string) bool {
	id := entryID(data)
	_, met := b.owners[id]
	b.owners[id] = met || b.owners[id]
	return met || b.duplicates[id]
}

// walkOn reads a few more names. Each eviction calls it, so the pool stays filled with
// old entries.
func (b *budget) walkOn() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.step(b.stepSize())
}

// oldest returns the least recently used known entry that was not tried.
func (b *budget) oldest(tried map[string]bool) (candidate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n, began := 0, b.rounds; ; n += minStep {
		for c, ok := b.pool.take(); ok; c, ok = b.pool.take() {
			if !tried[c.name] {
				return c, true
			}
		}
		if n >= maxSearch || b.rounds-began > 1 { // two rounds have met every entry
			return candidate{}, false
		}
		if b.step(minStep) != nil {
			return candidate{}, false
		}
	}
}

func (b *budget) takeLitter(n int) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n = min(n, len(b.litter))
	taken := b.litter[:n:n]
	b.litter = b.litter[n:]
	return taken
}

func (b *budget) isOldFile(path string) bool {
	info, err := b.disk.Lstat(path)
	return err == nil && b.isOld(info)
}

func (b *budget) isOld(info disk.Info) bool {
	return !info.Mode.IsDir() && time.Unix(0, b.clock.Now().Wall).Sub(info.ModTime) >= sweepAge
}

// sweepAge is the age at which a file under construction is litter. No invocation lasts
// that long, so its writer has ended.
const sweepAge = clock.LongestInvocation
