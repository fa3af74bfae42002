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

// ErrNoRoom means that eviction cannot free enough room for Scratch.
var ErrNoRoom = errors.New("there is too little room")

// Scratch makes an empty directory for the caller below s/. It evicts copies until so
// many bytes are free, and copies do not use them. Call remove to delete the directory
// with its contents. Until then it is locked. The lock ends with the process, so a later
// Scratch recognizes and removes the directory of a killed process, however recent.
func (s *Store) Scratch(bytes int64) (dir string, remove func() error, err error) {
	if bytes > 0 {
		free, err := s.MakeRoom(bytes)
		if err == nil && free < bytes {
			err = fmt.Errorf("%w: %d bytes are free, want %d", ErrNoRoom, free, bytes)
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

// scratchAttempts bounds the attempts to make a directory when sweeps of other processes
// remove it before it is locked.
const scratchAttempts = 10

// newHeld makes a directory and locks it. Its name is prefix followed by a number.
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

// hold opens and locks a directory, and checks that it still exists.
func (s *Store) hold(name string, exclusive bool) (disk.Subdir, error) {
	f, err := s.disk.OpenDir(name)
	if err != nil {
		return nil, err
	}
	if err = f.Lock(exclusive); !errors.Is(err, disk.ErrLocked) { // any other error means that there are no locks
		_, err = s.disk.Lstat(name)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// sweepScratch removes directories that no process has locked. Without locks, it removes
// directories older than the longest invocation.
func (s *Store) sweepScratch() {
	names, err := s.disk.ReadDir(scratchDir)
	if err != nil {
		return
	}
	for _, n := range names {
		s.removeAbandoned(scratchDir + "/" + n)
	}
}

// removeAbandoned removes a directory that no process has locked.
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
