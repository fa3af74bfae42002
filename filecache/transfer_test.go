package filecache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/disk"
)

func TestNotModifiedInTheSecondAttempt(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("Open panicked: %.60v", r)
		}
	}()
	c := newTest(t, Options{}, nil)
	s := &script{id: ID{Origin: "x", Name: "y"}, fetch: func(n int, req Request) (*Response, error) {
		if n > 1 {
			return &Response{NotModified: true}, nil
		}
		return &Response{Size: 3, Body: io.NopCloser(bytes.NewReader([]byte("too long")))}, nil
	}}
	if _, err := c.Open(background, s); err == nil {
		t.Error("no error")
	}
}

// script is an Object whose Fetch is a function.
type script struct {
	id    ID
	fetch func(n int, req Request) (*Response, error)
	n     int
}

func (s *script) ID() (ID, error) { return s.id, nil }

func (s *script) Fetch(_ context.Context, req Request) (*Response, error) {
	s.n++
	return s.fetch(s.n, req)
}

// A body that ends before its first byte must not look like the end of the file.
func TestEmptyRangeIsNotTheEndOfTheFile(t *testing.T) {
	o := newOrigin(maxInMemory + 1)
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.spoil = func(int, []byte) io.Reader { return bytes.NewReader(nil) }
	if _, err := f.Read(make([]byte, 10)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("Read = %v, which matches io.EOF", err)
	}
}

// Without an ETag, ranges of an object cannot be tied to one version.
func TestNoMixOfVersionsWithoutAnETag(t *testing.T) {
	o := newOrigin(maxInMemory + chunkSize)
	o.etag, o.modified = "", time.Time{}
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	f, err := c.Open(background, o)
	if err != nil {
		return // this answer is valid
	}
	defer f.Close()
	old, young := o.body, randomBytes(len(o.body), 8)
	p := make([]byte, 2*chunkSize)
	if _, err := io.ReadFull(f, p[:chunkSize]); err != nil {
		return
	}
	o.put(young)
	o.etag = ""
	if _, err := io.ReadFull(f, p[chunkSize:]); err != nil {
		return
	}
	if !bytes.Equal(p, old[:len(p)]) && !bytes.Equal(p, young[:len(p)]) {
		t.Error("a mix of two versions was returned")
	}
}

func TestReadFileOfAnImpossibleSize(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("ReadFile panicked: %v", r)
		}
	}()
	c := newTest(t, Options{}, nil)
	s := &script{id: ID{Origin: "x", Name: "y"}, fetch: func(int, Request) (*Response, error) {
		return &Response{Size: blocks.MaxObject, ETag: `"x"`, Body: io.NopCloser(bytes.NewReader(nil))}, nil
	}}
	if _, err := c.ReadFile(background, s); err == nil {
		t.Error("no error")
	}
}

// An object that cannot be read back is not kept.
func TestEndlessETag(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(100)
	o.etag = string(bytes.Repeat([]byte("x"), store.MaxText+1))
	c.want(o)
	c.restart(nil).want(o)
	if n := o.requests(); n != 1 {
		t.Errorf("%d requests: the entry does not decode", n)
	}
}

// A range of another version or length is rejected.
func TestRangeOfAnotherVersion(t *testing.T) {
	o := newOrigin(maxInMemory + 1)
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	f, err := c.Open(background, ignoring{o})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.put(randomBytes(maxInMemory+1, 8))
	if _, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, ErrChanged) {
		t.Errorf("ReadAt = %v", err)
	}
}

// ignoring is an origin that ignores If-Match.
type ignoring struct{ *origin }

func (i ignoring) Fetch(ctx context.Context, req Request) (*Response, error) {
	req.IfMatch = ""
	return i.origin.Fetch(ctx, req)
}

// The same for the rest of a broken body.
func TestResumeWithAnotherVersion(t *testing.T) {
	o := newOrigin(someSize)
	young := randomBytes(someSize, 9)
	o.spoil = func(n int, b []byte) io.Reader {
		if n > 1 {
			return nil
		}
		return io.MultiReader(bytes.NewReader(b[:1000]), readerFunc(func([]byte) (int, error) {
			o.put(young)
			return 0, errors.New("connection reset")
		}))
	}
	c := newTest(t, Options{}, nil)
	if b, err := c.ReadFile(background, ignoring{o}); err != nil || !bytes.Equal(b, young) {
		t.Errorf("a mix of two versions, or %v", err)
	}
}

// A file that cannot be read back in full is not served.
func TestReadbackOfAFullDisk(t *testing.T) {
	c := newTest(t, Options{}, &shortDisk{})
	s := c.newSink(someSize, true)
	defer s.close()
	if _, err := s.WriteAt(make([]byte, blocks.MinSize), 0); err != nil {
		t.Fatal(err)
	}
	s.toMemory()
	if s.memory != nil {
		t.Error("half of it would be zeros")
	}
}

// shortDisk loses half of the bytes written to it.
type shortDisk struct{ osDisk }

func (d *shortDisk) Create(dir string, size int64) (disk.NewFile, error) {
	f, err := d.osDisk.Create(dir, size)
	return shortFile{f}, err
}

type shortFile struct{ disk.NewFile }

func (shortFile) ReadAt(p []byte, _ int64) (int, error) { return len(p) / 2, io.EOF }

// Without an ETag, the version of the rest is unknown.
func TestNoResumeWithoutAnETag(t *testing.T) {
	o := newOrigin(someSize)
	o.etag = ""
	o.spoil = func(n int, b []byte) io.Reader {
		if n > 1 {
			return nil
		}
		return bytes.NewReader(b[:400])
	}
	c := newTest(t, Options{}, nil)
	if _, err := c.ReadFile(background, o); !errors.Is(err, io.ErrUnexpectedEOF) || o.requests() != 1 {
		t.Errorf("ReadFile = %v", err)
	}
}

// A weak ETag does not tie the ranges of an object to one version.
func TestNoRangesWithAWeakETag(t *testing.T) {
	o := newOrigin(maxInMemory + 1)
	o.etag = `W/"1"`
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	if _, err := c.Open(background, o); !errors.Is(err, errUnrangeable) {
		t.Errorf("Open = %v", err)
	}
	o.version = "7"
	c.want(o)
}

// The bytes of an ID with a Version never change, so the rest needs no ETag.
func TestVersionIsResumedWithoutAnETag(t *testing.T) {
	o := newOrigin(someSize)
	o.etag, o.version = "", "7"
	o.spoil = func(n int, b []byte) io.Reader {
		if n > 1 {
			return nil
		}
		return bytes.NewReader(b[:400])
	}
	c := newTest(t, Options{}, nil)
	c.want(o)
	if n := o.requests(); n != 2 {
		t.Errorf("%d requests", n)
	}
}
