package store

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A Copy is what this process knows of a copy on disk. It is never changed: news make
// a new one.
type Copy struct {
	*entry
	Validation
	fetched bool        // by this process
	touched int64       // when its use was last noted on disk, Unix nanoseconds
	fileID  disk.FileID // of the data file when checked was begun
	checked *blocks.Set // nil until it is opened
}

// Validation tells when the origin was asked that vouches for some bytes.
type Validation struct {
	At clock.Instant
	// Flight is the number of the flight of this process that asked. Zero: an
	// earlier process did, or one beside this one, and only the clocks tell when.
	Flight  uint64
	Revoked bool // the bytes may be from before an Invalidate
}

// Key returns the object that c is a copy of.
func (c *Copy) Key() Key { return c.key }

// ETag returns the origin's ETag of the bytes.
func (c *Copy) ETag() string { return c.etag }

// CRC returns the CRC-64/NVME of the bytes.
func (c *Copy) CRC() uint64 { return c.whole }

// Size returns the number of bytes.
func (c *Copy) Size() int64 { return c.size }

// Modified returns the origin's modification time, or the zero Time.
func (c *Copy) Modified() time.Time {
	if c.modified == unknownTime {
		return time.Time{}
	}
	return time.Unix(0, c.modified)
}

// Is reports whether c and other have the same data file.
func (c *Copy) Is(other *Copy) bool { return other != nil && c.data == other.data }

// racyWindow is how coarse the time of change of a file may be. A file changed
// that shortly before it was verified can have been changed again after, and
// look the same. It is verified again until it is older. (Kernels before 6.13
// count in ticks of 4 to 10 ms.)
const racyWindow = int64(20 * time.Millisecond)

// holds reports whether the blocks verified then can be relied on now that the
// file looks like id.
func (c *Copy) holds(id disk.FileID) bool {
	return c.checked != nil && c.fileID == id && id.Ctime+racyWindow <= c.checked.Since
}

// maxKnown bounds the memory for copies known to this process, at some 3 KiB for
// a large one. They are only there for speed.
const maxKnown = 4096

// index is what a process knows without asking the disk.
type index struct {
	mu          sync.Mutex
	known       map[Key]*Copy
	invalidated invalidated
	reasons     map[Key]Reason // why this process has removed a copy; only for Stats
	inUse       map[string]*use
}

func newIndex() index {
	return index{known: map[Key]*Copy{}, invalidated: newInvalidated(), reasons: map[Key]Reason{}, inUse: map[string]*use{}}
}

func (x *index) lookup(k Key) *Copy {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.known[k]
}

// remember keeps c for the next Lookup.
func (x *index) remember(c *Copy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.rememberLocked(c)
}

func (x *index) rememberLocked(c *Copy) {
	if _, ok := x.known[c.key]; !ok && len(x.known) >= maxKnown {
		clear(x.known)
	}
	x.known[c.key] = c
	delete(x.reasons, c.key)
}

// found remembers c, which was read from disk, unless a copy is known already. It
// returns the known one.
func (x *index) found(c *Copy) *Copy {
	x.mu.Lock()
	defer x.mu.Unlock()
	if cur := x.known[c.key]; cur != nil {
		return cur
	}
	c.Revoked = x.invalidated.since(c.key, c.At)
	x.rememberLocked(c)
	return c
}

// renewed remembers c, which was read from disk, in the place of old, if c is younger
// by both clocks. It returns the one that is known.
func (x *index) renewed(old, c *Copy) *Copy {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[old.key] != old || x.invalidated.since(old.key, c.At) || c.At.Wall <= old.At.Wall || c.At.Mono <= old.At.Mono {
		return old
	}
	x.rememberLocked(c)
	return c
}

// swap remembers c in the place of old, if that is neither replaced nor invalidated.
func (x *index) swap(old, c *Copy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[c.key] == old {
		x.known[c.key] = c
	}
}

// unknow drops the copy with that data file from memory.
func (x *index) unknow(k Key, data string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if cur := x.known[k]; cur != nil && cur.data == data {
		delete(x.known, k)
	}
}

// use is how a data file is used by this process.
type use struct {
	files   int  // that have it open
	removed bool // it has no name any more, but the disk has it until the last close
}

// hold and release count the Files that have a data file open. Release reports
// whether the file had lost its name and takes no room any more.
func (x *index) hold(data string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.inUse[data]
	if u == nil {
		u = &use{}
		x.inUse[data] = u
	}
	u.files++
}

func (x *index) release(data string) (freed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.inUse[data]
	if u.files--; u.files > 0 {
		return false
	}
	delete(x.inUse, data)
	return u.removed
}

// named returns what the open data files take that have their names still, with their
// entries.
func (x *index) named() (r room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for data, u := range x.inUse {
		if !u.removed {
			r = r.plus(roomFor(sizeInName(data)))
		}
	}
	return r
}

func (x *index) isOpen(data string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.inUse[data] != nil
}

// unlinked notes that a data file has lost its name. It reports whether the file takes
// room still, since it is open, and that was not known yet.
func (x *index) unlinked(data string) (open bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.inUse[data]
	if u == nil || u.removed {
		return false
	}
	u.removed = true
	return true
}

// because remembers why this process has removed a copy, until it has another.
// The memory for that is bounded.
func (x *index) because(k Key, why Reason) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.becauseLocked(k, why)
}

func (x *index) becauseLocked(k Key, why Reason) {
	if len(x.reasons) >= maxKnown {
		clear(x.reasons)
	}
	x.reasons[k] = why
}

func (x *index) invalidate(k Key, at clock.Instant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.invalidated.add(k, at)
	delete(x.known, k)
	x.becauseLocked(k, Invalidated)
}

func (x *index) invalidateAll(at clock.Instant) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.invalidated.addAll(at)
	for k := range x.known {
		x.becauseLocked(k, Invalidated)
	}
	clear(x.known)
}

// evicted notes that a copy was evicted.
func (x *index) evicted(k Key, data string) {
	x.because(k, Evicted)
	x.unknow(k, data)
}
