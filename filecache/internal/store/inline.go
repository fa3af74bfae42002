package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/internal/disk"
)

// A small object is one file: its entry, followed by its bytes. It takes one inode, one
// link and one open. No such file is rewritten: to revalidate the copy, or to give a
// program a path to its bytes, the Store makes a new file.

// maxSmall is the size up to which an object is stored in its entry's file. At that size,
// BenchmarkPublish takes half as long with one file as with two on ext4, and as long on
// tmpfs.
const maxSmall = 64 << 10

// isSmall reports whether an object of that size is stored in its entry's file. That
// requires a system where an open file can be replaced.
func isSmall(size int64) bool { return size <= maxSmall && disk.CanReplaceOpen }

// openBytes opens the file with the bytes of c.
func (l *layout) openBytes(c *Copy) (disk.File, disk.Info, error) {
	if c.inline {
		return l.openInline(c)
	}
	return l.openData(c.bytesPath(), c.size)
}

// openInline opens the entry's file with the bytes of c. If the entry was replaced, the
// error matches fs.ErrNotExist.
func (l *layout) openInline(c *Copy) (disk.File, disk.Info, error) {
	path := c.bytesPath()
	f, err := l.open(path, ErrDamaged)
	if err != nil {
		return nil, disk.Info{}, err
	}
	info, err := f.Stat()
	if err == nil && info.ID != c.fileID { // otherwise it was read before
		var e *entry
		e, err = readEntry(f, info, entryOf(c.data))
		switch {
		case errors.Is(err, errEntry):
			err = fmt.Errorf("%w: %w", ErrDamaged, err)
		case err == nil && (e.data != c.data || !e.inline):
			err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
	}
	if err != nil {
		f.Close()
		return nil, disk.Info{}, err
	}
	return f, info, nil
}

// isTouched reports whether the file differs from the verified one only by its
// modification time, as after touch.
func (c *Copy) isTouched(id disk.FileID) bool {
	id.Mtime, id.Ctime = c.fileID.Mtime, c.fileID.Ctime
	return c.inline && id == c.fileID
}

// readInline returns the bytes of c, verified.
func (s *Store) readInline(c *Copy) ([]byte, error) {
	f, _, err := s.openInline(c)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, c.size)
	if n, err := f.ReadAt(b, c.length); n < len(b) {
		return nil, asDamage(err)
	}
	if crc64nvme.Checksum(b) != c.whole {
		return nil, fmt.Errorf("%w: its bytes", ErrDamaged)
	}
	return b, nil
}

// openUnpacked opens the copy of f in a data file of its own, which it makes if
// necessary.
func (s *Store) openUnpacked(f *File) (*File, error) {
	c, err := s.unpack(f)
	if err != nil {
		return nil, err
	}
	plain := new(File)
	if err := s.Open(context.Background(), plain, c, f.sum); err != nil {
		return nil, err // plain cannot be closed
	}
	return plain, nil
}

// errUnpacked means that the copy was unpacked in the meantime.
var errUnpacked = errors.New("unpacked meanwhile")

// unpack moves the bytes of f's copy into a data file, unless that was done before. It
// returns the new copy. If the copy was removed or replaced, the error matches
// fs.ErrNotExist.
func (s *Store) unpack(f *File) (*Copy, error) {
	present, err := s.sameOnDisk(f.copy)
	if err != nil || !present.inline {
		return present, err
	}
	b := make([]byte, f.copy.size)
	for n := 0; n < len(b); {
		m, err := f.ReadSome(b[n:], int64(n))
		if err != nil {
			return nil, err
		}
		n += m
	}
	d := &Draft{store: s, size: f.copy.size}
	defer d.Close()
	if !d.reserve(roomForTwo(d.size)) {
		return nil, ErrNoRoom
	}
	if err := d.createFile(); err != nil {
		return nil, err
	}
	if _, err := d.WriteAt(b, 0); err != nil {
		return nil, err
	}
	e := *present.entry
	e.inline, e.data = false, newDataName(&e)
	unpacked := &Copy{entry: &e, Validation: f.copy.Validation, fetched: true, touched: f.copy.touched}
	err = s.publish(d, &e, func() error {
		now, err := s.sameOnDisk(f.copy)
		if err == nil && !now.inline {
			present, err = now, errUnpacked
		}
		return err
	}, func(disk.FileID) { s.index.swap(f.copy, unpacked) })
	if err == errUnpacked {
		return present, nil
	}
	return unpacked, err
}

// sameOnDisk returns the copy on disk that has the bytes of c.
func (s *Store) sameOnDisk(c *Copy) (*Copy, error) {
	e, _, err := s.readKey(c.key)
	if err == nil && !e.hasSameBytes(c.entry) {
		err = &fs.PathError{Op: "open", Path: entryPath(entryOf(c.data)), Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return &Copy{entry: e, Validation: c.Validation, fetched: true, touched: c.touched}, nil
}
