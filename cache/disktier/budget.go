package disktier

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// room is what a file of that size takes of the disk.
func room(size int64) int64 {
	const page = 4 << 10
	return (size + page - 1) / page * page
}

// reserve makes n bytes of room. It looks through the directory only when it does not
// know what is there, or that is too much.
func (t *Tier) reserve(n int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used < 0 || t.used+n > t.maxBytes {
		files, err := t.list()
		if err != nil {
			return err
		}
		t.evict(files, n)
	}
	t.used += n // what it replaces is counted once more, until the next look
	return nil
}

// abandoned is how old a temporary file is that nobody writes any more.
const abandoned = time.Minute

// list returns the files of records, and removes what killed processes have left.
func (t *Tier) list() (files []fs.FileInfo, err error) {
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || e.Name() == epochFile: // gone meanwhile, or not to go
		case strings.HasPrefix(e.Name(), "tmp-") && time.Since(info.ModTime()) > abandoned:
			os.Remove(filepath.Join(t.dir, e.Name()))
		default:
			files = append(files, info)
		}
	}
	return files, nil
}

// evict removes the files that were set first, until n more bytes leave a quarter of
// the budget free; if they fit, none. The caller holds mu.
func (t *Tier) evict(files []fs.FileInfo, n int64) {
	t.used = 0
	for _, f := range files {
		t.used += room(f.Size())
	}
	if t.used+n <= t.maxBytes {
		return
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if t.used+n <= t.maxBytes/4*3 {
			return
		}
		if os.Remove(filepath.Join(t.dir, f.Name())) == nil {
			t.used -= room(f.Size())
		}
	}
}
