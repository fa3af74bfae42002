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
	fileID  disk.FileID // of the file with the bytes, when checked was begun or an inline entry was read
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
	trees       map[string]int    // how many Trees are open, by name
	inline      map[string]string // of the inline copies in use: entry's name -> the one that had it last
}

func newIndex() index {
	return index{
		known: map[Key]*Copy{}, invalidated: newInvalidated(), reasons: map[Key]Reason{},
		inUse: map[string]*use{}, inline: map[string]string{}, trees: map[string]int{},
	}
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

// use is how a copy is used by this process.
type use struct {
	entry   *entry
	files   int  // that have it open
	removed bool // it has no name any more, but the disk has it until the last close
}

// room returns what the file with the bytes takes.
func (u *use) room() room {
	if u.entry.inline {
		return u.entry.room()
	}
	return room{pages(u.entry.size), 1}
}

// hold and release count the Files that have a copy open. Release returns the room of a
// file that had lost its name and takes no room any more.
func (x *index) hold(e *entry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.inUse[e.data]
	if u == nil {
		u = &use{entry: e}
		x.inUse[e.data] = u
	}
	u.files++
}

func (x *index) release(data string) (freed room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	u := x.inUse[data]
	if u.files--; u.files > 0 {
		return room{}
	}
	delete(x.inUse, data)
	if u.removed {
		return u.room()
	}
	if u.entry.inline && x.inline[entryOf(data)] == data {
		delete(x.inline, entryOf(data))
	}
	return room{}
}

// opened notes that an inline copy is in use and has the name of its entry. It returns
// the room of one that has lost that name to it, and is in use.
func (x *index) opened(data string) room {
	x.mu.Lock()
	defer x.mu.Unlock()
	name := entryOf(data)
	if x.inline[name] == data || x.inUse[data].removed {
		return room{}
	}
	lost := x.entryUnlinkedLocked(name)
	x.inline[name] = data
	return lost
}

// entryUnlinked notes that an entry has lost its name. It returns the room that its file
// takes still, if that has the bytes of a copy in use.
func (x *index) entryUnlinked(name string) room {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.entryUnlinkedLocked(name)
}

func (x *index) entryUnlinkedLocked(name string) room {
	data, ok := x.inline[name]
	if !ok {
		return room{}
	}
	delete(x.inline, name)
	return x.unlinkedLocked(data)
}

// named returns what the copies in use take that have their names still.
func (x *index) named() (r room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, u := range x.inUse {
		if !u.removed {
			r = r.plus(u.entry.room())
		}
	}
	for name := range x.trees {
		r = r.plus(treeRoom(name))
	}
	return r
}

// holdTree and releaseTree count the users of a tree.
func (x *index) holdTree(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trees[name]++
}

func (x *index) releaseTree(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.trees[name]--; x.trees[name] == 0 {
		delete(x.trees, name)
	}
}

func (x *index) isTreeInUse(name string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.trees[name] > 0
}

func (x *index) isOpen(data string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.inUse[data] != nil
}

// unlinked notes that a data file has lost its name. It returns the room that the file
// takes still, if it is open, and that was not known yet.
func (x *index) unlinked(data string) room {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.unlinkedLocked(data)
}

func (x *index) unlinkedLocked(data string) room {
	u := x.inUse[data]
	if u == nil || u.removed {
		return room{}
	}
	u.removed = true
	return u.room()
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
