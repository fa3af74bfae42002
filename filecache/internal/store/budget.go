package store

import (
	"cmp"
	"errors"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// budget keeps the disk space within bounds. Room is reserved before a byte is
// written. The Store scans how much is used when a download first needs room, from
// the names of the data files, and again now and then, since other processes may
// share the directory: between their looks they can overshoot by what each wrote.
type budget struct {
	max   int64 // zero: by the file system
	disk  disk.FS
	clock *clock.Clock

	mu      sync.Mutex
	scanned clock.Instant
	files   map[string]int64 // what each data file takes; nil: not known
	used    int64            // their sum
	open    int64            // what is taken by files that have no name any more

	reserved int64
	written  int64 // how much of what is reserved the file system has given already
}

// rescanAfter is how long the sum of what is used is relied on.
const rescanAfter = 30 * time.Second

// onDisk is what a data file of that size takes, with its entry, whose texts have
// some 1.5 KiB at most.
func onDisk(size int64) int64 {
	n := int64(blocks.Count(size, blocks.SizeFor(size)))
	return pages(size) + pages(8*n+1536)
}

func pages(size int64) int64 {
	const page = 4 << 10
	return (size + page - 1) / page * page
}

// use counts a data file that was published in the room that s had.
func (b *budget) use(data string, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(data, onDisk(size))
}

func (b *budget) count(name string, size int64) {
	if b.files == nil { // the look that is to come will find it
		return
	}
	b.used += size - b.files[name]
	b.files[name] = size
}

// free takes a data file that is gone out of the sum, if it was ever counted.
func (b *budget) free(data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.files[data]
	delete(b.files, data)
}

// unlinked and closed tell of a file that lost its name while it was open.
func (b *budget) unlinked(data string) { b.add(&b.open, onDisk(sizeInName(data))) }
func (b *budget) closed(data string)   { b.add(&b.open, -onDisk(sizeInName(data))) }

func (b *budget) unreserve(size int64) { b.add(&b.reserved, -onDisk(size)) }
func (b *budget) wrote(n int64)        { b.add(&b.written, n) }

func (b *budget) add(n *int64, size int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n += size
}

// forget makes the next reservation look at the directory again.
func (b *budget) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files, b.used = nil, 0
}

// reserve takes room for an object of that size, by eviction if it must. It
// reports whether there is any.
func (s *Store) reserve(size int64) bool {
	need := onDisk(size)
	b := &s.budget
	missing, limit := b.reserve(need)
	if missing > 0 && s.dropDrafts() {
		missing, limit = b.reserve(need)
	}
	if missing > 0 && need <= limit {
		s.evict(need)
		missing, _ = b.reserve(need)
	}
	return missing <= 0
}

// reserve takes need bytes if there is room for them, and else tells how many are
// missing. It also tells the limit.
func (b *budget) reserve(need int64) (missing, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing, limit = b.missing(need)
	if missing <= 0 {
		b.reserved += need
	}
	return missing, limit
}

// missing is how much there is too little of for need bytes, and the limit. The
// caller holds mu.
func (b *budget) missing(need int64) (missing, limit int64) {
	b.scan()
	limit = b.limit()
	return b.used + b.open + b.reserved + need - limit, limit
}

// scan sums up the data files if that was not done lately. The caller holds mu.
func (b *budget) scan() {
	now := b.clock.Now()
	if b.files != nil && b.scanned.Within(rescanAfter, now) {
		return
	}
	names, err := b.disk.ReadDir(dataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return // what cannot be read cannot be written to either: that will show
	}
	b.files, b.used, b.scanned = make(map[string]int64, len(names)), 0, now
	for _, name := range names {
		b.count(name, b.sizeOf(name))
	}
}

// sizeOf returns what a file in the data directory takes. What this process has
// under construction takes nothing: it is reserved.
func (b *budget) sizeOf(name string) int64 {
	switch {
	case isDataName(name):
		return onDisk(sizeInName(name))
	case disk.OwnTemp(name):
		return 0
	}
	info, err := b.disk.Lstat(dataPath(name))
	if err != nil {
		return 0
	}
	return pages(info.Size)
}

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

// unknownShare is what may be used of a file system that does not say what it
// has: half of the least that AWS Lambda gives.
const unknownShare = 256 << 20

// Fits reports whether an object of that size could be kept, after eviction.
func (s *Store) Fits(size int64) bool {
	b := &s.budget
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scan()
	return onDisk(size) <= b.limit()
}

// limit is what may be used in all: the user's bound or the default, and never
// more than leaves a twentieth of the file system to the function itself. The
// caller holds mu.
func (b *budget) limit() int64 {
	sp, err := b.disk.Space()
	if err != nil {
		return cmp.Or(b.max, unknownShare) // writing will show
	}
	there := b.used + b.open + b.written + sp.Free
	limit := there - sp.Total/20
	if b.max > 0 {
		return min(limit, b.max)
	}
	share := there / 4 * 3
	if sp.Memory {
		share = there / 4
	}
	return min(limit, share, 8<<30)
}
