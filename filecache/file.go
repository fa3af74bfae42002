package filecache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"sync/atomic"
	"time"
)

// A File is an object open for reading. ReadAt and Stat are safe for concurrent
// use; the other methods share an offset and are not.
//
// What it hands out are the bytes of one version of the object, verified. It is
// not affected by what happens to the cache while it is open.
type File struct {
	object
	bytes  bytesAt
	offset int64
	closed atomic.Bool
}

// bytesAt is where a File's bytes come from.
type bytesAt interface {
	io.ReaderAt
	io.Closer
}

// newFile returns a File of src, which is not on disk.
func (c *Cache) newFile(ctx context.Context, obj Object, src source) *File {
	f := &File{object: src.object}
	if src.bytes != nil {
		f.bytes = memory(src.bytes)
	} else {
		f.bytes = &remote{cache: c, ctx: ctx, obj: obj, object: src.object}
	}
	return f
}

// ReadAt reads as io.ReaderAt says. An error other than io.EOF means that bytes
// were needed from the origin and could not be had.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if f.closed.Load() {
		return 0, f.fail("read", fs.ErrClosed)
	}
	if off < 0 {
		return 0, f.fail("read", errors.New("negative offset"))
	}
	if off >= f.size {
		return 0, io.EOF
	}
	want := p[:min(int64(len(p)), f.size-off)]
	n, err := f.bytes.ReadAt(want, off)
	switch {
	case n == len(want) && n < len(p):
		return n, io.EOF
	case n == len(want):
		return n, nil
	}
	return n, f.fail("read", err)
}

// Read reads from the offset.
func (f *File) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := f.ReadAt(p, f.offset)
	f.offset += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek sets the offset, as io.Seeker says.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.offset
	case io.SeekEnd:
		offset += f.size
	case io.SeekStart:
	default:
		return 0, f.fail("seek", errors.New("invalid whence"))
	}
	if offset < 0 {
		return 0, f.fail("seek", errors.New("negative position"))
	}
	f.offset = offset
	return offset, nil
}

// WriteTo writes what follows the offset to w, a verified block at a time.
func (f *File) WriteTo(w io.Writer) (written int64, err error) {
	buf := getBuffer()
	defer putBuffer(buf)
	for {
		// Up to the end of a block, so that each is read once.
		n, err := f.Read((*buf)[:minBlockSize-f.offset%minBlockSize])
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		m, err := w.Write((*buf)[:n])
		written += int64(m)
		if err == nil && m < n {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

// Close ends the use of the File. A second Close is an error that matches
// fs.ErrClosed.
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	f.bytes.Close() // for reading only: there is nothing to lose
	return nil
}

// Size returns the number of bytes of the object.
func (f *File) Size() int64 { return f.size }

// Stat returns the size, the origin's modification time, and the last element of
// the object's name.
func (f *File) Stat() (fs.FileInfo, error) { return fileInfo{f.object}, nil }

func (f *File) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.id.String(), Err: err}
}

type fileInfo struct{ object }

func (i fileInfo) Name() string       { return path.Base(i.id.Name) }
func (i fileInfo) Size() int64        { return i.size }
func (i fileInfo) Mode() fs.FileMode  { return 0o444 }
func (i fileInfo) ModTime() time.Time { return i.modified }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }

// memory are bytes that found no room on disk.
type memory []byte

func (m memory) ReadAt(p []byte, off int64) (int, error) { return copy(p, m[off:]), nil }
func (m memory) Close() error                            { return nil }
