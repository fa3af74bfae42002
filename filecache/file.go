package filecache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
)

// A File is an object open for reading. ReadAt and Stat are safe for concurrent
// use; the other methods share an offset and are not.
//
// All bytes are verified and of one version of the object. Evict, Forget, Clear and
// Close of the Cache do not affect an open File.
type File struct {
	object
	validation store.Validation // of the bytes
	bytes      bytesAt
	offset     int64
	closed     atomic.Bool
	unusable   atomic.Bool // Path dropped its copy
}

// bytesAt is the source of a File's bytes.
type bytesAt interface {
	io.ReaderAt
	io.Closer
}

// newFile returns a File of src, whose bytes are not on disk.
func (c *Cache) newFile(ctx context.Context, obj Object, src source) (*File, error) {
	switch {
	case src.bytes != nil:
		return &File{object: src.object, validation: src.Validation, bytes: c.newMemoryFile(src.bytes)}, nil
	case src.id.sha256() != nil:
		return nil, errUnverifiable
	}
	if _, ok := src.id.source(); ok {
		return &File{object: src.object, validation: src.Validation, bytes: &stream{cache: c, ctx: ctx, obj: obj, object: src.object}}, nil
	}
	return &File{object: src.object, validation: src.Validation, bytes: c.newRemote(ctx, obj, src.object)}, nil
}

// ReadAt implements [io.ReaderAt]. An error other than io.EOF means that bytes from the
// origin were needed and could not be fetched.
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

// Read implements [io.Reader].
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

// Seek implements [io.Seeker].
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

// WriteTo implements [io.WriterTo]. It writes one verified block at a time.
func (f *File) WriteTo(w io.Writer) (written int64, err error) {
	buf, done := f.buffer()
	defer done()
	for {
		// Reading up to the end of a block reads each block once.
		n, err := f.Read(buf[:int64(len(buf))-f.offset%int64(len(buf))])
		if err == io.EOF {
			return written, nil
		}
		if err != nil {
			return written, err
		}
		m, err := w.Write(buf[:n])
		written += int64(m)
		if err == nil && m < n {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, err
		}
	}
}

// maxBuffer bounds the buffer for a block.
const maxBuffer = 4 << 20

// buffer returns a buffer for a block. The caller must call done.
func (f *File) buffer() (buf []byte, done func()) {
	if l, ok := f.bytes.(*localFile); ok && l.BlockSize() > blocks.MinSize {
		return make([]byte, min(l.BlockSize(), maxBuffer)), func() {}
	}
	b := blocks.GetBuffer()
	return *b, func() { blocks.PutBuffer(b) }
}

// readAllAndClose returns all bytes. It closes f even if the Object panics.
func (f *File) readAllAndClose() ([]byte, error) {
	defer f.Close()
	return f.readAll()
}

// readAll returns all bytes. It does not allocate the announced size at once, which may
// be wrong.
func (f *File) readAll() ([]byte, error) {
	if int64(int(f.size)) != f.size {
		return nil, f.fail("read", fmt.Errorf("%d bytes are too many for this machine's memory", f.size))
	}
	first := f.size
	if _, ok := f.bytes.(*remote); ok {
		first = min(f.size, chunkSize)
	}
	b := make([]byte, first)
	for n := 0; ; {
		m, err := f.ReadAt(b[n:], int64(n))
		if n += m; int64(n) == f.size {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		b = slices.Grow(b, int(min(int64(n), f.size-int64(n))))[:min(2*int64(n), f.size)]
	}
}

// Close closes the File. A second Close returns an error that matches [fs.ErrClosed].
func (f *File) Close() error {
	if f.closed.Swap(true) {
		return f.fail("close", fs.ErrClosed)
	}
	f.bytes.Close() // opened for reading, so its error does not matter
	return nil
}

// Size returns the size of the object in bytes.
func (f *File) Size() int64 { return f.size }

// Stat returns the size, the origin's modification time, and the last element of
// the object's name. Sys returns a *Info.
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
func (i fileInfo) Sys() any           { return i.info() }
