package filecache

import (
	"path/filepath"

	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// A fake disk embeds osDisk, the real one, and fails some of its calls.
type fakeDisk interface {
	disk.FS
	use(disk.FS)
}

type osDisk struct{ disk.FS }

func (d *osDisk) use(real disk.FS) { d.FS = real }

// onDisk returns the disk space of a copy of size bytes.
func onDisk(size int64) int64 { return store.TestRoom(size) }

// A copy of largeSize bytes is two files, and one of smallSize is one file.
const largeSize, smallSize = 100_000, 1000

// entryName returns the file name of the entry for id.
func entryName(id ID) string { return store.TestEntryName(store.Key(id)) }

func (c *testCache) dataPath(name string) string  { return filepath.Join(c.root, "d", name) }
func (c *testCache) entryPath(name string) string { return filepath.Join(c.root, "e", name) }

// copyOf returns the local copy that f reads.
func copyOf(f *File) *store.Copy { return f.bytes.(*localFile).Copy() }

// storeKey returns the Key of o's copies.
func storeKey(o *origin) store.Key {
	id, _ := o.ID()
	return store.Key(id)
}

// brokenTurns is a disk without locks.
type brokenTurns struct {
	disk.FS
	err error
}

func (d brokenTurns) Locks(string) (disk.Locks, error) { return brokenTurn{d.err}, nil }

type brokenTurn struct{ err error }

func (b brokenTurn) Acquire(int64) error { return b.err }
func (b brokenTurn) Close() error        { return nil }

// heldMemory returns the memory used by objects that are not on disk.
func (c *Cache) heldMemory() int64 {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	return c.memory.held
}
