package filecache

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Scratch makes an empty directory for the work of one invocation, such as files
// on their way from the origin through a converter and back. Remove removes it with
// all that is in it. What a process that was killed has left is removed by a later
// Scratch in the same directory, of whatever process.
//
// It needs a disk by nature: its error matches ErrNoDisk. The space is the caller's
// and does not count as the Cache's.
func (c *Cache) Scratch() (dir string, remove func() error, err error) {
	if c.closed.Load() {
		return "", nil, fmt.Errorf("filecache.Scratch: %w", fs.ErrClosed)
	}
	s := scratch{&c.store}
	dir, held, err := s.make()
	if err != nil {
		c.fault(err)
		return "", nil, fmt.Errorf("filecache.Scratch: %w: %w", ErrNoDisk, err)
	}
	return dir, sync.OnceValue(func() error {
		defer held.Close()
		return os.RemoveAll(dir)
	}), nil
}

// scratch are the directories below <root>/s. Whoever works in one holds an
// exclusive lock on it, which ends with its process: so leftovers are known, however
// young they are.
type scratch struct{ store *store }

// attempts at a directory that a sweep takes away before it is locked.
const scratchAttempts = 10

func (s scratch) make() (dir string, held *os.File, err error) {
	base := filepath.Join(s.store.root, "s")
	if err := s.prepare(base); err != nil {
		return "", nil, err
	}
	s.sweep(base)
	for range scratchAttempts {
		dir = filepath.Join(base, strconv.FormatUint(rand.Uint64(), 16))
		if err = os.Mkdir(dir, 0o700); err != nil {
			continue
		}
		if held, err = hold(dir); err == nil {
			return dir, held, nil
		}
	}
	return "", nil, err
}

func (s scratch) prepare(base string) error {
	if err := s.store.check(); errors.Is(err, fs.ErrNotExist) {
		if err := s.store.mkdirAll(s.store.root); err != nil {
			return err
		}
	}
	if err := s.store.check(); err != nil {
		return err
	}
	return s.store.disk.Mkdir(base)
}

// hold opens and locks a directory, and makes sure that it is still there.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := lock(f, true); errors.Is(err, errLocked) {
		f.Close()
		return nil, err
	}
	there, err := os.Lstat(dir)
	if err == nil {
		var opened fs.FileInfo
		if opened, err = f.Stat(); err == nil && !os.SameFile(there, opened) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes the directories that nobody holds. Where there are no locks, it
// removes those that are older than any invocation.
func (s scratch) sweep(base string) {
	names, err := s.store.disk.ReadDir(base)
	if err != nil {
		return
	}
	for _, name := range names {
		dir := filepath.Join(base, name)
		if f, err := os.Open(dir); err == nil {
			if abandoned(f) {
				os.RemoveAll(dir)
			}
			f.Close()
		}
	}
}

func abandoned(f *os.File) bool {
	if err := lock(f, true); err == nil && canLock {
		return true
	} else if errors.Is(err, errLocked) {
		return false
	}
	fi, err := f.Stat()
	return err == nil && time.Since(fi.ModTime()) >= sweepAge
}
