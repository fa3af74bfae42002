package store

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// budget keeps the disk space within bounds. Room is reserved before a byte is
// written. The names in the directory tell how much is used already, some at
// each reservation, and again now and then, since other processes may share the
// directory: between two rounds they can overshoot by what each wrote.
type budget struct {
	max    int64 // zero: by the file system
	keep   int64 // of the file system, for others
	disk   disk.FS
	clock  *clock.Clock
	memory *cgroup.Memory

	mu     sync.Mutex
	walk   walk
	began  clock.Instant // the round under way, or else the last one
	rounds int
	known  *sum  // of the last whole round and of changes since; nil: there was none
	round  *sum  // of the round under way; nil: there is none
	added  int64 // bytes that this process has added since then
	last   room  // the limit, when it was last asked for
	pool   pool
	litter []string          // paths of what seems to be of no use
	trees  map[uint64]string // by the ID of the entry that they belong to

	// Whether there are two data files of a key, of the keys that the round under way
	// has met, and that the last one met.
	owners, duplicates map[uint64]bool

	// Since New. As long as known is nil, nobody knows how much more there is.
	changed room

	open     room // taken by files that have no name any more
	reserved room
	written  int64 // how much of what is reserved the file system has given already
	promises []*promise
}

// A sum is how much a set of files takes. It knows them by numbers that their names
// have: 16 bytes a file.
type sum struct {
	pages map[uint64]uint32
	trees map[uint64]int64 // how many files there are in a tree, beside its directory
	bytes int64
	files int64 // in trees
}

func newSum() *sum { return &sum{pages: map[uint64]uint32{}, trees: map[uint64]int64{}} }

func (s *sum) room() room {
	if s == nil {
		return room{}
	}
	return room{s.bytes, int64(len(s.pages)) + s.files}
}

// add counts a file, once.
func (s *sum) add(id uint64, size int64) {
	if s == nil {
		return
	}
	n := uint32(min(size/page, math.MaxUint32))
	s.bytes += (int64(n) - int64(s.pages[id])) * page
	s.pages[id] = n
}

// addTree counts a tree, once.
func (s *sum) addTree(id uint64, r room) {
	if s == nil {
		return
	}
	s.add(id, r.bytes)
	s.files += r.files - 1 - s.trees[id]
	s.trees[id] = r.files - 1
}

func (s *sum) remove(id uint64) {
	if s == nil {
		return
	}
	s.bytes -= int64(s.pages[id]) * page
	delete(s.pages, id)
	s.files -= s.trees[id]
	delete(s.trees, id)
}

// use counts a data file that was published.
func (b *budget) use(data string, size int64) { b.count(dataID(data), pages(size)) }

func (b *budget) count(id uint64, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.added += size
	b.known.add(id, size)
	b.round.add(id, size)
	b.changed = b.changed.plus(room{size, 1})
}

// removed takes a file that is gone out of the sum, if it was ever counted.
func (b *budget) removed(id uint64, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known.remove(id)
	b.round.remove(id)
	b.changed = b.changed.minus(room{size, 1})
}

// addOpen counts what a file takes that lost its name while it was open, until it is
// closed.
func (b *budget) addOpen(r room) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open = b.open.plus(r)
}

func (b *budget) unreserve(r room) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved = b.reserved.minus(r)
}

func (b *budget) wrote(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.written += n
}

// reserve takes need if there is room for it, and else tells how much is missing, and
// whether eviction could give it.
func (b *budget) reserve(need room) (missing room, possible bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing, limit := b.missing(need)
	b.last = limit
	if missing.fits(room{}) {
		b.reserved = b.reserved.plus(need)
	}
	return missing, need.plus(b.open).plus(b.reserved).fits(limit)
}

// missing is how much there is too little of for need, and the limit of all. The caller
// holds mu.
func (b *budget) missing(need room) (missing, limit room) {
	sp, err := b.disk.Space()
	if err != nil { // writing will show
		sp = disk.Space{}
		limit = room{cmp.Or(b.max, unknownShare), unlimited}
	}
	need = need.plus(b.open).plus(b.reserved)
	if b.known != nil {
		used := b.known.room()
		if err == nil {
			limit = b.limit(used, sp)
		}
		return used.plus(need).minus(limit), limit
	}
	// It is not known how much is used. At most, it is all that is taken of the file
	// system: that may do. Else each copy that comes must make room for itself.
	most := room{sp.Total - sp.Free, sp.Inodes - sp.FreeInodes}
	if err == nil {
		limit = b.limit(most, sp)
		if missing = most.plus(need).minus(limit); missing.fits(room{}) {
			return missing, limit
		}
	} else {
		missing = room{unlimited, 0}
	}
	missing = missing.atMost(b.changed.plus(need))
	return missing.atLeast(b.round.room().plus(need).minus(limit)), limit
}

// unknownShare is what may be used of a file system that does not say what it
// has: half of the least that AWS Lambda gives.
const unknownShare = 256 << 20

// limit is what may be used in all, if so much is used by named files: the user's
// bound or the default, and never more than leaves a twentieth of the file system to
// the function itself, or what it wants to be kept free. The caller holds mu.
func (b *budget) limit(used room, sp disk.Space) room {
	there := used.bytes + b.open.bytes + b.written + sp.Free
	limit := room{there - max(sp.Total/20, b.keep) - b.promised(there), unlimited}
	share := there / 4 * 3
	if sp.Memory {
		share = min(there, b.memory.There(used.bytes+b.open.bytes+b.written, b.clock.Now())) / 4
	}
	if b.max > 0 {
		limit.bytes = min(limit.bytes, b.max)
	} else {
		limit.bytes = min(limit.bytes, share, 8<<30)
	}
	if sp.Inodes > 0 {
		there := used.files + b.open.files + sp.FreeInodes
		limit.files = there - max(sp.Inodes/20, minFreeInodes)
		if b.max == 0 {
			limit.files = min(limit.files, there/4*3)
		}
	}
	return limit
}

// minFreeInodes is how many files the function can make at least.
const minFreeInodes = 16

// A promise is room on the file system that the function was promised.
type promise struct {
	bytes int64
	there int64 // what was free or used by the Store then; zero: it is not known yet
}

// promised returns what is left of the promises: what is there shrinks by what the
// function writes. The caller holds mu.
func (b *budget) promised(there int64) (n int64) {
	for _, p := range b.promises {
		if p.there == 0 && b.known != nil {
			p.there = there
		}
		if p.there == 0 {
			n += p.bytes
		} else {
			n += max(0, min(p.bytes, p.bytes-p.there+there))
		}
	}
	return n
}

// promise keeps room from the Store until it is withdrawn.
func (b *budget) promise(bytes int64) (withdraw func()) {
	p := &promise{bytes: bytes}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.promises = append(b.promises, p)
	b.missing(room{}) // notes what is there
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.promises = slices.DeleteFunc(b.promises, func(o *promise) bool { return o == p })
	}
}
