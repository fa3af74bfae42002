package disktier

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/warmcache/warmcache/internal/disk"
)

// room returns the disk space of a file of that size.
func room(size int64) int64 {
	const page = 4 << 10
	return (size + page - 1) / page * page
}

// reserve makes n bytes of room. It lists the directory only if it does not know how
// much is used, or if too much is.
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
	t.used += n // a record that is replaced counts twice, until the next listing
	return nil
}

// abandoned is the age from which a temporary file counts as left by a killed process.
const abandoned = time.Minute

// record is the file of a record.
type record struct {
	name    string
	size    int64
	modTime time.Time
}

// list returns the files of records, and removes temporary files of killed processes.
// It ignores all files that no Tier has made.
func (t *Tier) list() (files []record, err error) {
	names, err := t.disk.ReadDir("")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		temp := strings.HasPrefix(name, disk.TempPrefix)
		if !temp && !isRecordName(name) {
			continue
		}
		info, err := t.disk.Lstat(name)
		switch {
		case err != nil: // removed meanwhile
		case temp && time.Since(info.ModTime) > abandoned:
			t.disk.Remove(name)
		default:
			files = append(files, record{name, info.Size, info.ModTime})
		}
	}
	return files, nil
}

// isRecordName reports whether recordName may return that name.
func isRecordName(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == hashSize
}

// evict removes the files that were set first, until n more bytes leave a quarter of
// the budget free; if they fit, none. The caller holds mu.
func (t *Tier) evict(files []record, n int64) {
	t.used = 0
	for _, f := range files {
		t.used += room(f.size)
	}
	if t.used+n <= t.maxBytes {
		return
	}
	slices.SortFunc(files, func(a, b record) int { return a.modTime.Compare(b.modTime) })
	for _, f := range files {
		if t.used+n <= t.maxBytes/4*3 {
			return
		}
		if t.disk.RemoveAll(f.name) == nil {
			t.used -= room(f.size)
		}
	}
}
