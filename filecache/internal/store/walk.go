package store

import (
	"cmp"
	"errors"
	"hash/fnv"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Nothing here knows all files at once. A walk goes round the directory, some names at
// each reservation. It sums up how much is used, and remembers the oldest entries that
// it met, as candidates for eviction. So an eviction takes no longer with a hundred
// thousand copies than with a hundred: among so many, the copy that goes is one of the
// oldest, and not always the very oldest.

// A walk reads the names of entries, then those of data files, and so on for ever.
type walk struct {
	disk disk.FS
	data bool // it is in the directory of data files
	list disk.Listing
}

// next returns the next names, and whether they are the last of a round.
func (w *walk) next() (dir string, names []string, last bool, err error) {
	dir = entryDir
	if w.data {
		dir = dataDir
	}
	if w.list == nil {
		w.list, err = w.disk.List(dir)
	}
	if err == nil {
		names, err = w.list.Next()
	}
	if err == io.EOF || errors.Is(err, fs.ErrNotExist) {
		last = w.data
		w.stop()
		w.data = !last
		return dir, names, last, nil
	}
	if err != nil {
		w.stop()
		w.data = false
	}
	return dir, names, false, err
}

func (w *walk) stop() {
	if w.list != nil {
		w.list.Close()
		w.list = nil
	}
}

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
	// poolSize is how many candidates for eviction are remembered.
	poolSize = 256
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
		if b.another(name) || errors.Is(err, fs.ErrNotExist) {
			b.dispose(path)
		}
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

// entryID, dataID and otherID return the number that a sum knows a file by.
func entryID(name string) uint64 { return hex64(name[:16]) }
func dataID(name string) uint64  { return hex64(name[len(name)-16:]) }

func otherID(name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	return h.Sum64()
}

func hex64(s string) uint64 {
	n, _ := strconv.ParseUint(s, 16, 64)
	return n
}

// entryOf returns the name of the entry that a data file is named after.
func entryOf(data string) string { return data[:entryNameLen] }

// sizeInName returns the size that dataName put into a name, or zero.
func sizeInName(name string) int64 {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return 0
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n < 0 || n > blocks.MaxObject {
		return 0
	}
	return n
}

// candidate is an entry as eviction sees it.
type candidate struct {
	name string
	used int64 // Unix nanoseconds
}

func (c candidate) compare(o candidate) int {
	return cmp.Or(cmp.Compare(c.used, o.used), strings.Compare(c.name, o.name))
}

// A pool keeps the least recently used of the entries that it was offered, in order.
type pool []candidate

func (p *pool) offer(c candidate) {
	i, ok := slices.BinarySearchFunc(*p, c, candidate.compare)
	if ok || i == poolSize {
		return
	}
	if len(*p) == poolSize {
		*p = (*p)[:poolSize-1]
	}
	*p = slices.Insert(*p, i, c)
}

// take returns the least recently used, and removes it from the pool.
func (p *pool) take() (c candidate, ok bool) {
	if len(*p) == 0 {
		return candidate{}, false
	}
	c = (*p)[0]
	*p = slices.Delete(*p, 0, 1)
	return c, true
}
