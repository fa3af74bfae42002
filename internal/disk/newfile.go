package disk

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
)

// create makes an unnamed file if the file system supports that, or one with a temporary
// name. The file has room for size bytes. createUnnamed is skipped once noTmpfile is set:
// see link.
func create(h *handle, size int64, noTmpfile *atomic.Bool) (*newFile, error) {
	f, err := createEmpty(h, noTmpfile)
	if err != nil {
		return nil, err
	}
	if f.allocated, err = allocate(f.File, size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func createEmpty(h *handle, noTmpfile *atomic.Bool) (*newFile, error) {
	if !noTmpfile.Load() {
		if f, err := h.createUnnamed(); err == nil {
			return &newFile{File: f, dir: h, noTmpfile: noTmpfile}, nil
		}
	}
	for {
		temp := tempName()
		f, err := h.createNew(temp)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &newFile{File: f, dir: h, temp: temp}, nil
	}
}

// newFile is a file under construction, named or unnamed.
type newFile struct {
	*os.File
	dir       *handle
	temp      string // temporary name until it is published; empty if unnamed
	noTmpfile *atomic.Bool
	allocated bool
	closed    bool
}

func (f *newFile) Allocated() bool { return f.allocated }

func (f *newFile) MakeModifiable() error { return f.Chmod(0o600) }

func (f *newFile) ID() (FileID, error) {
	info, err := statOf(f.File)
	return info.ID, err
}

func (f *newFile) Publish(name string) error {
	if f.temp == "" {
		return f.link(name)
	}
	if _, err := f.dir.lstat(name); err == nil {
		return &os.LinkError{Op: "rename", Old: f.temp, New: name, Err: fs.ErrExist}
	}
	return f.rename(name) // names are random, so no other process has used it since
}

func (f *newFile) Replace(name string) error {
	if f.temp == "" { // only a rename can replace a name
		temp := tempName()
		if err := f.link(temp); err != nil {
			return err
		}
		f.temp = temp
	}
	return f.rename(name)
}

// link names an unnamed file. If that is impossible, later files get a temporary name
// from the start.
func (f *newFile) link(name string) error {
	err := f.dir.linkUnnamed(f.File, name)
	if err != nil && !canLink(f.File, err) {
		f.noTmpfile.Store(true)
	}
	return err
}

func (f *newFile) rename(name string) error {
	if !CanReplaceOpen {
		f.closed = true
		if err := f.File.Close(); err != nil {
			return err
		}
	}
	if err := f.dir.rename(f.temp, name); err != nil {
		return err
	}
	f.temp = ""
	return nil
}

func (f *newFile) Close() error {
	var err error
	if !f.closed {
		f.closed = true
		err = f.File.Close()
	}
	if f.temp != "" {
		f.dir.remove(f.temp)
	}
	return err
}
