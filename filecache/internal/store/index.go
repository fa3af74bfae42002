package store

import (
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A Copy describes a copy on disk as this process knows it. It is immutable: a change
// makes a new one.
type Copy struct {
	*entry
	Validation
	fetched bool        // by this process
	touched int64       // when its use was last recorded on disk, Unix nanoseconds
	fileID  disk.FileID // of the file with the bytes, when checked was created or the inline entry was read
	checked *blocks.Set // nil until the copy is opened
	path    string      // see bytesPath; empty until the copy is opened
}

// bytesPath returns the path of the file with the bytes.
func (c *Copy) bytesPath() string {
	switch {
	case c.path != "":
		return c.path
	case c.inline:
		return entryPath(entryOf(c.data))
	}
	return dataPath(c.data)
}

// Validation records which request to the origin confirmed the bytes, and when.
type Validation struct {
	At clock.Instant
	// Flight is the number of the flight in this process that sent the request. Zero
	// means another or an earlier process, so only the clocks can tell.
	Flight  uint64
	Revoked bool // the bytes may predate an Invalidate
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

// racyWindow is how coarse a file's change time may be. A file that was verified within
// it after a change may have changed again, with the same stat data. It is verified again
// until the change is older. (Kernels before 6.13 have ticks of 4 to 10 ms.)
const racyWindow = int64(20 * time.Millisecond)

// holds reports whether the verified blocks can still be relied on if the file's ID is
// now id.
func (c *Copy) holds(id disk.FileID) bool {
	return c.checked != nil && c.fileID == id && id.Ctime+racyWindow <= c.checked.Since
}

// maxKnown bounds the memory for known copies, which take about 3 KiB each for large
// objects. They only save disk access.
const maxKnown = 4096

// index is the in-memory state of a Store.
type index struct {
	mu          sync.Mutex
	known       map[Key]*Copy
	invalidated invalidated
	reasons     map[Key]Reason  // why this process removed a copy; for Stats only
	inUse       map[string]*use // by entry name
	trees       map[string]int  // number of open Trees by name
}

func newIndex() index {
	return index{
		known: map[Key]*Copy{}, invalidated: newInvalidated(), reasons: map[Key]Reason{},
		inUse: map[string]*use{}, trees: map[string]int{},
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

// found remembers c, which was read from disk, unless a copy is already known. It returns
// the known copy.
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

// renewed replaces old by c, which was read from disk, if c is newer by both clocks. It
// returns the known copy.
func (x *index) renewed(old, c *Copy) *Copy {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[old.key] != old || x.invalidated.since(old.key, c.At) || c.At.Wall <= old.At.Wall || c.At.Mono <= old.At.Mono {
		return old
	}
	x.rememberLocked(c)
	return c
}

// swap replaces old by c, unless old has been replaced or invalidated.
func (x *index) swap(old, c *Copy) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known[c.key] == old {
		x.known[c.key] = c
	}
}

// dropKnown drops the copy with that data file from memory.
func (x *index) dropKnown(k Key, data string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if cur := x.known[k]; cur != nil && cur.data == data {
		delete(x.known, k)
	}
}

// use counts the Files of one copy in this process.
type use struct {
	entry   *entry
	next    *use // another copy of the same object
	files   int  // number of open Files
	named   bool // it is inline and its file was found under the entry's name
	removed bool // it has no name, but uses disk space until the last File is closed
}

// room returns the room of the file with the bytes.
func (u *use) room() room {
	if u.entry.inline {
		return u.entry.room()
	}
	return room{pages(u.entry.size), 1}
}

// lose records that the file has lost its name. It returns the room that the open file
// still uses, or none if the loss was recorded before.
func (u *use) lose() room {
	if u.removed {
		return room{}
	}
	u.removed = true
	return u.room()
}

// hold and release count the Files that have a copy open. When the last File of an
// unlinked copy is closed, release returns the room that this frees.
func (x *index) hold(e *entry) *use {
	x.mu.Lock()
	defer x.mu.Unlock()
	first := x.inUse[entryOf(e.data)]
	for u := first; u != nil; u = u.next {
		if u.entry.data == e.data {
			u.files++
			return u
		}
	}
	u := &use{entry: e, next: first, files: 1}
	x.inUse[entryOf(e.data)] = u
	return u
}

func (x *index) release(u *use) (freed room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if u.files--; u.files > 0 {
		return room{}
	}
	name := entryOf(u.entry.data)
	if first := x.inUse[name]; first != u {
		for first.next != u {
			first = first.next
		}
		first.next = u.next
	} else if u.next != nil {
		x.inUse[name] = u.next
	} else {
		delete(x.inUse, name)
	}
	if u.removed {
		return u.room()
	}
	return room{}
}

// foundName records that an inline copy has the name of its entry. It returns the room of
// copies in use that thereby lost the name.
func (x *index) foundName(u *use) (lost room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if u.named {
		return room{}
	}
	lost = x.entryUnlinkedLocked(entryOf(u.entry.data))
	u.named = true
	return lost
}

// entryUnlinked records that an entry has lost its name. It returns the room that its
// file still uses if the file contains the bytes of a copy in use.
func (x *index) entryUnlinked(name string) room {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.entryUnlinkedLocked(name)
}

func (x *index) entryUnlinkedLocked(name string) (lost room) {
	for u := x.inUse[name]; u != nil; u = u.next {
		if u.named {
			lost = lost.plus(u.lose())
		}
	}
	return lost
}

// inUseNamed returns the room of the copies in use that still have their names.
func (x *index) inUseNamed() (r room) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, u := range x.inUse {
		for ; u != nil; u = u.next {
			if !u.removed {
				r = r.plus(u.entry.room())
			}
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
	return x.use(data) != nil
}

// use returns the use of a copy, or nil. The caller holds mu.
func (x *index) use(data string) *use {
	u := x.inUse[entryOf(data)]
	for u != nil && u.entry.data != data {
		u = u.next
	}
	return u
}

// unlinked records that a data file has lost its name. It returns the room that an open
// file still uses, or none if the loss was recorded before.
func (x *index) unlinked(data string) room {
	x.mu.Lock()
	defer x.mu.Unlock()
	if u := x.use(data); u != nil {
		return u.lose()
	}
	return room{}
}

// because records why this process removed a copy, until a new copy exists. The memory
// for these records is bounded.
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

// evicted records that a copy was evicted.
func (x *index) evicted(k Key, data string) {
	x.because(k, Evicted)
	x.dropKnown(k, data)
}
