package filecache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// unsizedOrigin does not report the size of its object.
type unsizedOrigin struct {
	*origin
	framed bool
}

func (o *unsizedOrigin) Fetch(ctx context.Context, req Request) (*Response, error) {
	resp, err := o.origin.Fetch(ctx, req)
	if err == nil && !resp.NotModified {
		resp.Size, resp.Framed = -1, o.framed
	}
	return resp, err
}

// An object of unknown size is returned, and is kept if its end is proven.
func TestUnknownSize(t *testing.T) {
	for _, size := range []int{0, 1, 100, blocks.MinSize, 3*blocks.MinSize + 5} {
		for _, framed := range []bool{false, true} {
			for _, sums := range []int{0, 1, 5} {
				o := &unsizedOrigin{newOrigin(size), framed}
				o.sums = sumsOf(o.body)[:sums]
				c := newTest(t, Options{StaleIfError: time.Hour}, nil)
				for range 2 {
					if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
						t.Errorf("%d bytes of %d, %v", len(b), size, err)
					}
				}
				kept := framed || sums > 0
				if s := c.Stats(); (s.Revalidated == 1) != kept || (s.Uncached == 0) != kept || s.Faults != 0 {
					t.Errorf("framed %v, %d checksums: %+v", framed, sums, s)
				}
				if kept {
					fresh := c.restart(nil)
					if b, err := fresh.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) || fresh.Stats().Revalidated != 1 {
						t.Errorf("from the disk: %d bytes, %v", len(b), err)
					}
				}
				if u := c.usage(); u.Reserved != 0 || u.Written != 0 || c.heldMemory() != 0 {
					t.Errorf("room is still reserved: %+v", u)
				}
			}
		}
	}
}

// A body of unknown size that breaks is an error, and so is one that ends too early if
// a checksum shows it.
func TestUnknownSizeCut(t *testing.T) {
	cut := func(n int, b []byte) io.Reader { return bytes.NewReader(b[:len(b)/2]) }
	broken := func(n int, b []byte) io.Reader {
		return io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	for name, tt := range map[string]struct {
		spoil func(int, []byte) io.Reader
		sums  int
		want  error
	}{
		"broken":                  {broken, 0, io.ErrUnexpectedEOF},
		"broken, with a checksum": {broken, 1, io.ErrUnexpectedEOF},
		"cut, with a checksum":    {cut, 1, ErrChecksum},
	} {
		t.Run(name, func(t *testing.T) {
			o := &unsizedOrigin{newOrigin(3*blocks.MinSize + 5), true}
			o.sums = sumsOf(o.body)[:tt.sums]
			o.spoil = tt.spoil
			c := newTest(t, Options{}, nil)
			if _, err := c.ReadFile(background, o); !errors.Is(err, tt.want) {
				t.Errorf("err = %v, want %v", err, tt.want)
			}
			if len(c.entryFiles()) != 0 {
				t.Error("it was kept")
			}
		})
	}
}

// An object of unknown size grows on a disk that fills up, and continues in memory.
func TestUnknownSizeWithoutRoom(t *testing.T) {
	for _, tt := range []struct {
		size    int
		bytes   int64
		framed  bool
		fails   bool
		uncache bool
	}{
		{5 << 20, 1 << 30, true, false, false},
		{5 << 20, 3 << 20, true, false, true},
		{maxInMemory + 1<<20, 1 << 30, true, false, false},
		{maxInMemory + 1<<20, 1 << 20, true, true, false},
		{maxInMemory + 1<<20, 1 << 30, false, true, false},
	} {
		o := &unsizedOrigin{newOrigin(tt.size), tt.framed}
		c := newTest(t, Options{MaxBytes: tt.bytes}, nil)
		small := newOrigin(10)
		small.name = "small"
		c.want(small)
		b, err := c.ReadFile(background, o)
		if tt.fails != (err != nil) || err == nil && !bytes.Equal(b, o.body) {
			t.Errorf("%+v: %d bytes, %v", tt, len(b), err)
		}
		if s := c.Stats(); s.Faults != 0 || (s.Uncached > 0) != tt.uncache {
			t.Errorf("%+v: %+v", tt, s)
		}
		if u := c.usage(); u.Reserved != 0 || u.Written != 0 || c.heldMemory() != 0 {
			t.Errorf("%+v: room is still reserved: %+v", tt, u)
		}
	}
}

// A part that does not report the size of the object is rejected.
func TestRangeOfUnknownSize(t *testing.T) {
	o := newOrigin(maxInMemory + 1)
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	sized := true
	s := &script{id: ID{Origin: "x", Name: "y"}}
	s.fetch = func(_ int, req Request) (*Response, error) {
		resp, err := o.Fetch(background, req)
		if !sized {
			resp.Size = -1
		}
		return resp, err
	}
	f, err := c.Open(background, s)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sized = false
	if _, err := f.ReadAt(make([]byte, 10), 0); err == nil {
		t.Error("no error")
	}
}
