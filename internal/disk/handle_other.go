//go:build !unix

package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"time"
)

// Windows cannot remove or rename an open file, and cannot replace a read-only file.
const (
	CanReplaceOpen = false
	fileMode       = 0o600
)

// CanLock reports whether this system supports locks on files.
const CanLock = false

// This package cannot determine owners here. The user's temporary directory is private to
// the user.
func euid() uint32 { return 0 }

// A handle is an open directory.
type handle struct {
	root  *os.Root
	owner uint32
}

func (h *handle) close() { h.root.Close() }

func openHandle(path string) (*handle, error) {
	if fi, err := os.Lstat(path); err != nil {
		return nil, err
	} else if !fi.IsDir() {
		return nil, errNotDirectory
	}
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &handle{root: r}, nil
}

func (h *handle) openDir(name string) (*handle, error) {
	r, err := h.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	return &handle{root: r}, nil
}

func (h *handle) open(name string) (*file, error) {
	f, err := h.root.Open(name)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

func (h *handle) modify(name string) (*file, error) {
	f, err := h.root.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &file{f}, nil
}

func (h *handle) createNew(name string) (*os.File, error) {
	return h.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
}

func (h *handle) stat() (Info, error) {
	fi, err := h.root.Stat(".")
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (h *handle) lstat(name string) (Info, error) {
	fi, err := h.root.Lstat(name)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func lstat(path string) (Info, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

// statOf describes a file under construction.
func statOf(f *os.File) (Info, error) {
	fi, err := f.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func infoOf(fi fs.FileInfo) Info {
	return Info{
		Mode:    fi.Mode(),
		Size:    fi.Size(),
		ModTime: fi.ModTime(),
		ID:      FileID{Size: fi.Size(), Mtime: fi.ModTime().UnixNano()},
		Ours:    true,
		Linked:  true,
	}
}

func (h *handle) mkdir(name string) error           { return h.root.Mkdir(name, 0o700) }
func (h *handle) remove(name string) error          { return h.root.Remove(name) }
func (h *handle) removeAll(name string) error       { return h.root.RemoveAll(name) }
func (h *handle) rename(from, to string) error      { return h.root.Rename(from, to) }
func (h *handle) touch(n string, t time.Time) error { return h.root.Chtimes(n, time.Time{}, t) }

func (h *handle) names() ([]string, error) {
	d, err := h.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.Readdirnames(-1)
}

// listing reads all names at once, because an open directory cannot be removed.
type listing struct{ names []string }

func (h *handle) list() (Listing, error) {
	names, err := h.names()
	if err != nil {
		return nil, err
	}
	return &listing{names}, nil
}

func (l *listing) Next() ([]string, error) {
	if len(l.names) == 0 {
		return nil, io.EOF
	}
	n := min(len(l.names), 64)
	names := l.names[:n]
	l.names = l.names[n:]
	return names, nil
}

func (l *listing) Close() error { return nil }

func (h *handle) probe() (uint32, error) { return 0, errors.ErrUnsupported }

type file struct{ *os.File }

func (f *file) Stat() (Info, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Info{}, err
	}
	return infoOf(fi), nil
}

func (f *file) Lock(bool) error { return nil }

func (d dirFile) ReadAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (d dirFile) Lock(bool) error                   { return nil }
func (d dirFile) Close() error                      { return d.h.root.Close() }
func (d dirFile) Seal() error                       { return nil }
