package store

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// ErrNoRoom is the error of Scratch when there cannot be the room.
var ErrNoRoom = errors.New("there is too little room")

// Scratch makes an empty directory for the caller's work, below s/, with room for so many
// bytes, which no copy takes. Remove removes it with all that is in it. The directory is locked until then, and the lock ends with
// its process: so a later Scratch knows what killed processes left, however young it
// is, and removes it.
func (s *Store) Scratch(bytes int64) (dir string, remove func() error, err error) {
	if bytes > 0 {
		free, err := s.MakeRoom(bytes)
		if err == nil && free < bytes {
			err = fmt.Errorf("%w: %d bytes are free, %d are wanted", ErrNoRoom, free, bytes)
		}
		if err != nil {
			return "", nil, err
		}
	}
	dir, removeDir, err := s.scratch()
	if err != nil {
		s.fault(err)
		return "", nil, err
	}
	if bytes <= 0 {
		return dir, removeDir, nil
	}
	withdraw := s.budget.promise(bytes)
	return dir, func() error {
		withdraw()
		return removeDir()
	}, nil
}

func (s *Store) scratch() (dir string, remove func() error, err error) {
	if err := s.makeDir(scratchDir); err != nil {
		return "", nil, err
	}
	s.sweepScratch()
	name, held, err := s.newHeld(scratchDir+"/", true)
	if err != nil {
		return "", nil, err
	}
	remove = sync.OnceValue(func() error {
		defer held.Close()
		return s.raw.RemoveAll(name)
	})
	dir, err = s.disk.Path(name)
	if err != nil {
		remove()
		return "", nil, err
	}
	return dir, remove, nil
}

// scratchAttempts is how often a directory is made anew that a sweep of another
// process removes before it is locked.
const scratchAttempts = 10

// newHeld makes a directory and locks it. Its name is prefix and a number.
func (s *Store) newHeld(prefix string, exclusive bool) (name string, held disk.Subdir, err error) {
	for range scratchAttempts {
		name = prefix + strconv.FormatUint(clock.Random(), 16)
		if err = s.disk.Mkdir(name); err != nil {
			continue
		}
		if held, err = s.hold(name, exclusive); err == nil {
			return name, held, nil
		}
	}
	return "", nil, err
}

// hold opens and locks a directory, and makes sure that it is still there.
func (s *Store) hold(name string, exclusive bool) (disk.Subdir, error) {
	f, err := s.disk.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if err = f.Lock(exclusive); !errors.Is(err, disk.ErrLocked) { // else there are no locks
		_, err = s.disk.Lstat(name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweepScratch removes the directories that nobody holds. Where there are no locks, it
// removes those that are older than any invocation.
func (s *Store) sweepScratch() {
	names, err := s.disk.ReadDir(scratchDir)
	if err != nil {
		return
	}
	for _, n := range names {
		s.removeAbandoned(scratchDir + "/" + n)
	}
}

// removeAbandoned removes a directory that nobody holds.
func (s *Store) removeAbandoned(name string) (removed bool) {
	f, err := s.disk.OpenDir(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return abandoned(f) && s.disk.RemoveAll(name) == nil
}

func abandoned(f disk.File) bool {
	err := f.Lock(true)
	if err == nil && disk.CanLock {
		return true
	}
	if errors.Is(err, disk.ErrLocked) {
		return false
	}
	info, err := f.Stat()
	return err == nil && time.Since(info.ModTime) >= clock.LongestInvocation
}
