package disk

import (
	"io"
	"io/fs"
	"strings"
	"time"
)

// dirFile implements Subdir with its own handle.
type dirFile struct{ h *handle }

func (d dirFile) Stat() (Info, error)      { return d.h.stat() }
func (d dirFile) Names() ([]string, error) { return d.h.names() }

func (d dirFile) Lstat(name string) (Info, error) {
	if err := element("lstat", name); err != nil {
		return Info{}, err
	}
	return d.h.lstat(name)
}

func (d dirFile) OpenDir(name string) (Subdir, error) {
	if err := element("open", name); err != nil {
		return nil, err
	}
	sub, err := d.h.openDir(name)
	if err != nil {
		return nil, err
	}
	return dirFile{sub}, nil
}

func (d dirFile) Mkdir(name string) error {
	if err := element("mkdir", name); err != nil {
		return err
	}
	return d.h.mkdir(name)
}

func (d dirFile) Touch(name string, t time.Time) error {
	if err := element("touch", name); err != nil {
		return err
	}
	return d.h.touch(name, t)
}

func (d dirFile) Create(name string, executable bool) (io.WriteCloser, error) {
	if err := element("create", name); err != nil {
		return nil, err
	}
	f, err := d.h.createNew(name)
	if err == nil && executable {
		err = f.Chmod(fileMode | 0o100)
	}
	if err != nil {
		if f != nil {
			f.Close()
		}
		return nil, err
	}
	return f, nil
}

// element returns an error if name is not a plain name in its directory.
func element(op, name string) error {
	if !plain(name) || strings.Contains(name, "\x00") {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}
