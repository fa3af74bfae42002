package store

import (
	"errors"
	"io"
	"io/fs"

	"github.com/warmcache/warmcache/internal/disk"
)

// A walk cycles through the names of trees, entries and data files. It knows the trees
// before it offers their entries for eviction.
type walk struct {
	disk disk.FS
	at   int // index in walkDirs
	list disk.Listing
	rest []string // names already read
}

var walkDirs = [...]string{treeDir, entryDir, dataDir}

// next returns up to n more names, and reports whether they are the last of a round.
func (w *walk) next(n int) (dir string, names []string, last bool, err error) {
	dir = walkDirs[w.at]
	if w.list == nil {
		w.list, err = w.disk.List(dir)
	}
	if err == nil && len(w.rest) == 0 {
		w.rest, err = w.list.Next()
	}
	n = min(n, len(w.rest))
	names, w.rest = w.rest[:n], w.rest[n:]
	if err == io.EOF || errors.Is(err, fs.ErrNotExist) {
		w.stop()
		w.at = (w.at + 1) % len(walkDirs)
		return dir, names, w.at == 0, nil
	}
	if err != nil {
		w.stop()
		w.at = 0
	}
	return dir, names, false, err
}

func (w *walk) stop() {
	if w.list != nil {
		w.list.Close()
		w.list = nil
	}
}
