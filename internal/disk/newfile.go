package disk

import (
	"errors"
	"io/fs"
	"os"
	"sync/atomic"
)

// create makes a file without a name where the file system has such files, and else
// one with a temporary name. It has room for size bytes. It sets noTmpfile once unnamed
// files turn out to be of no use.
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

// newFile is a file under construction, with or without a name.
type newFile struct {
	*os.File
	dir       *handle
	temp      string // its name until it is published; empty if it has none
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
	return f.rename(name) // names are random: nobody has taken it since
}

func (f *newFile) Replace(name string) error {
	if f.temp == "" { // only a rename replaces a name
		temp := tempName()
		if err := f.link(temp); err != nil {
			return err
		}
		f.temp = temp
	}
	return f.rename(name)
}

// link gives an unnamed file a name. Where that is impossible, later files have a
// name from the start.
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
