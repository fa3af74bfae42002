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

// budget bounds the disk space in use. Room is reserved before a byte is written. The
// used room follows from the names in the directory. Each reservation reads some of them,
// again and again, because other processes may share the directory. Between two rounds,
// the total can exceed the limit by the bytes that each process wrote.
type budget struct {
	max    int64 // zero means a share of the file system
	keep   int64 // bytes to leave free
	disk   disk.FS
	clock  *clock.Clock
	memory *cgroup.Memory

	mu     sync.Mutex
	walk   walk
	began  clock.Instant // start of the current round, or else of the last one
	rounds int
	known  *sum  // of the last complete round plus later changes; nil if there was none
	round  *sum  // of the current round; nil if there is none
	added  int64 // bytes added by this process since began
	last   room  // the limit at the last reservation
	pool   pool
	own    int               // entries that this process added recently
	others int               // entries of other processes that the walk found recently
	litter []string          // paths of files that seem unused
	trees  map[uint64]string // by the ID of their entries

	refreshes int // how many known entries the current step may still refresh

	// owners has the keys whose data files this round has met, and whether it met two
	// of them. duplicates is the owners of the round before.
	owners, duplicates map[uint64]bool

	// The following count since New. While known is nil, the room of older files is
	// unknown.
	changed room

	open     room // of files that have no name but are open
	reserved room
	written  int64 // the part of reserved that the file system has allocated
	promises []*promise
}

// A sum is the room of a set of files. It identifies them by numbers derived from their
// names, and needs 16 bytes for each.
type sum struct {
	counted map[uint64]counted
	trees   map[uint64]int64 // number of files in a tree, without its root
	bytes   int64
	files   int64 // in trees
}

// counted is a file in a sum.
type counted struct {
	pages uint32
	used  tick // of an entry: no later than its last use
}

func newSum() *sum { return &sum{counted: map[uint64]counted{}, trees: map[uint64]int64{}} }

// A tick is a time of about 67 ms, modulo 9 years.
type tick uint32

func tickOf(nanoseconds int64) tick { return tick(nanoseconds >> 26) }

func (t tick) after(u tick) bool { return int32(t-u) > 0 }

func (s *sum) room() room {
	if s == nil {
		return room{}
	}
	return room{s.bytes, int64(len(s.counted)) + s.files}
}

// add counts a file once.
func (s *sum) add(id uint64, size int64, used tick) {
	s.set(id, counted{uint32(min(size/page, math.MaxUint32)), used})
}

func (s *sum) get(id uint64) (c counted, ok bool) {
	if s != nil {
		c, ok = s.counted[id]
	}
	return c, ok
}

func (s *sum) set(id uint64, c counted) {
	if s == nil {
		return
	}
	s.bytes += (int64(c.pages) - int64(s.counted[id].pages)) * page
	s.counted[id] = c
}

// addTree counts a tree once.
func (s *sum) addTree(id uint64, r room) {
	if s == nil {
		return
	}
	s.add(id, r.bytes, 0)
	s.files += r.files - 1 - s.trees[id]
	s.trees[id] = r.files - 1
}

func (s *sum) remove(id uint64) {
	if s == nil {
		return
	}
	s.bytes -= int64(s.counted[id].pages) * page
	delete(s.counted, id)
	s.files -= s.trees[id]
	delete(s.trees, id)
}

// useEntry counts a published entry.
func (b *budget) useEntry(name string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.own++
	b.count(entryID(name), pages(size), tickOf(b.clock.Now().Wall))
}

// use counts a published data file.
func (b *budget) use(data string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(dataID(data), pages(size), 0)
}

// count counts a published file. The caller holds mu.
func (b *budget) count(id uint64, size int64, used tick) {
	b.added += size
	b.known.add(id, size, used)
	b.round.add(id, size, used)
	b.changed = b.changed.plus(room{size, 1})
}

// removed subtracts a removed file, if it was counted.
func (b *budget) removed(id uint64, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known.remove(id)
	b.round.remove(id)
	b.changed = b.changed.minus(room{size, 1})
}

// addOpen counts the room of a file that lost its name while it was open. Closing the
// file subtracts it.
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

// reserve reserves need if there is room for it. Otherwise it returns how much is
// missing, and whether eviction could free it.
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

// missing returns how much room is missing for need, and the limit of the total. The
// caller holds mu.
func (b *budget) missing(need room) (missing, limit room) {
	sp, err := b.disk.Space()
	if err != nil { // writing will fail too
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
	// The used room is unknown. It is at most all that is used on the file system,
	// which may be low enough. Otherwise each new copy must make its own room.
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

// unknownShare is the limit on a file system that does not report its size. It is half of
// AWS Lambda's minimum.
const unknownShare = 256 << 20

// limit returns the total that may be used if named files use so much. It is the user's
// bound or the default. It always leaves the function a twentieth of the file system, or
// the space that it wants to be kept free. The caller holds mu.
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

// minFreeInodes is the minimum number of files left to the function.
const minFreeInodes = 16

// A promise is disk space that is promised to the function.
type promise struct {
	bytes int64
	there int64 // bytes free or used by the Store at the time; zero while unknown
}

// promised returns the unused part of the promises. The function's own writes reduce
// there, the bytes free or used by the Store. The caller holds mu.
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

// promise keeps bytes free until withdraw is called.
func (b *budget) promise(bytes int64) (withdraw func()) {
	p := &promise{bytes: bytes}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.promises = append(b.promises, p)
	b.missing(room{}) // sets p.there
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.promises = slices.DeleteFunc(b.promises, func(o *promise) bool { return o == p })
	}
}
