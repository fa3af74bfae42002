package store

import (
	"errors"
	"io"
	"io/fs"

	"github.com/warmcache/warmcache/internal/disk"
)

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
