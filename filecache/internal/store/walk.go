package store

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// Nothing here knows all files at once. A walk goes round the directory, some names at
// each reservation. It sums up how much is used, and remembers the oldest entries that
// it met, as candidates for eviction. So an eviction takes no longer with a hundred
// thousand copies than with a hundred: among so many, the copy that goes is one of the
// oldest, and not always the very oldest.

const (
	// firstLook is how many names a process looks at before it evicts anything. With
	// fewer files, the oldest of all is evicted.
	firstLook = 256
	// lookStep is how many names each reservation looks at while a round is under way.
	lookStep = 16
	// unknownStep is the same as long as it is not known how much is used: each copy that
	// comes may then evict another one needlessly.
	unknownStep = 64
	// maxLook is how many names one eviction looks at to find a copy that nobody uses.
	maxLook = 8 << 10
	// litterAtOnce is how much litter one reservation removes.
	litterAtOnce = 2
	maxLitter    = 1024
)

// The sum of what is used is relied on for so long, or until this process has added that
// part of the limit: others may have added as much.
const (
	rescanAfter = 30 * time.Second
	rescanPart  = 16
)

// look goes on with the walk if the sum is not known or not recent, and reports whether
// it did: by some names, and more for larger objects, which take longer to receive. An
// error means that the directory cannot be read now.
func (b *budget) look(need int64) (walked bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := lookStep
	switch {
	case b.known == nil && b.round == nil:
		n = firstLook
	case b.known == nil:
		n = unknownStep
	case b.round == nil && b.added <= b.last.bytes/rescanPart && b.began.Within(rescanAfter, b.clock.Now()):
		return false, nil
	}
	return true, b.step(max(n, int(min(need/page, 1<<20))))
}

// step goes on by n names or some more, but ends with a round. The caller holds mu.
func (b *budget) step(n int) error {
	for n > 0 {
		if b.round == nil {
			b.round, b.began, b.added = newSum(), b.clock.Now(), 0
			b.owners = map[uint64]bool{}
		}
		dir, names, last, err := b.walk.next()
		if err != nil {
			b.round = nil
			if b.known == nil { // what cannot be read cannot be written to either: that will show
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
			return nil
		}
		n -= len(names)
	}
	return nil
}

// see takes a name into the sum of the round.
func (b *budget) see(dir, name string) {
	path := dir + "/" + name
	switch {
	case dir == entryDir && isEntryName(name):
		if info, err := b.disk.Lstat(path); err == nil {
			b.round.add(entryID(name), pages(info.Size))
			b.pool.offer(candidate{name, info.ModTime.UnixNano()})
		}
	case dir == dataDir && isDataName(name):
		if _, err := b.disk.Lstat(path); err != nil { // see disk.Listing
			return
		}
		b.round.add(dataID(name), pages(sizeInName(name)))
		info, err := b.disk.Lstat(entryPath(entryOf(name)))
		if err == nil { // so that the pool does not run dry while the walk is here
			b.pool.offer(candidate{entryOf(name), info.ModTime.UnixNano()})
		}
		if b.another(name) || errors.Is(err, fs.ErrNotExist) || err == nil && !mayReferTo(info) {
			b.dispose(path)
		}
	case dir == treeDir:
		b.seeTree(name)
	case disk.OwnTemp(name): // it is reserved
	default:
		info, err := b.disk.Lstat(path)
		if err != nil {
			return
		}
		b.round.add(otherID(name), pages(info.Size))
		if isTemp(name) && b.isOld(info) {
			b.dispose(path)
		}
	}
}

// dispose remembers what is to be removed, unless that is much already: the next round
// meets it again.
func (b *budget) dispose(path string) {
	if len(b.litter) < maxLitter && !slices.Contains(b.litter, path) {
		b.litter = append(b.litter, path)
	}
}

// another reports whether the entry that a data file is named after may refer to
// another one. The round before has met both, or this one has now.
func (b *budget) another(data string) bool {
	id := entryID(data)
	_, met := b.owners[id]
	b.owners[id] = met || b.owners[id]
	return met || b.duplicates[id]
}

// walkOn looks at some more names, which it does for each copy that is evicted, so that
// old ones are known.
func (b *budget) walkOn() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.step(lookStep)
}

// oldest returns the least recently used of the entries that are known and were not
// tried.
func (b *budget) oldest(tried map[string]bool) (candidate, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for looked, began := 0, b.rounds; ; looked += lookStep {
		for c, ok := b.pool.take(); ok; c, ok = b.pool.take() {
			if !tried[c.name] {
				return c, true
			}
		}
		if looked >= maxLook || b.rounds-began > 1 { // in two rounds, all were met
			return candidate{}, false
		}
		if b.step(lookStep) != nil {
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

// sweepAge is the age at which a file under construction is litter: whoever was about
// to give it a name has been gone for longer than an invocation may take.
const sweepAge = clock.LongestInvocation
