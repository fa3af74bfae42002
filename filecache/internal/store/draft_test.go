package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"testing"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A write after Close is an error, and changes no other Draft, although they share
// buffers.
func TestWriteAfterClose(t *testing.T) {
	s, _ := newStore(t, 1<<30)
	const size = maxSmall
	for range 10 {
		first := s.Create(size)
		if _, err := first.WriteAt(bytes.Repeat([]byte{1}, size), 0); err != nil {
			t.Fatal(err)
		}
		first.Close()
		second := s.Create(size)
		want := bytes.Repeat([]byte{2}, size)
		if _, err := second.WriteAt(want, 0); err != nil {
			t.Fatal(err)
		}
		if n, err := first.WriteAt([]byte{3}, 0); n != 0 || !errors.Is(err, fs.ErrClosed) {
			t.Errorf("WriteAt after Close = %d, %v", n, err)
		}
		got := make([]byte, size)
		if !second.ReadBack(got) || !bytes.Equal(got, want) {
			t.Error("the second Draft has other bytes")
		}
		second.Close()
		second.Close() // does not release the buffer twice
		a, b := s.Create(size), s.Create(size)
		if a.pooled == b.pooled {
			t.Error("two Drafts have one buffer")
		}
		a.Close()
		b.Close()
	}
}

// A Draft allocates no large buffer, and none that is much larger than its object.
func TestSmallBuffers(t *testing.T) {
	s, _ := newStore(t, 1<<30)
	for size, most := range map[int64]int64{maxSmall: maxSmall / 2, 1000: 2000} { // with the race detector, pools lose a quarter
		const n = 1000
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range n {
			s.Create(size).Close()
		}
		runtime.ReadMemStats(&after)
		if n := int64(after.TotalAlloc-before.TotalAlloc) / n; n > most {
			t.Errorf("a Draft of %d bytes allocates %d", size, n)
		}
	}
	var drafts []*Draft
	for range 10 {
		d := s.Create(1000)
		d.WriteAt(make([]byte, 1000), 0)
		if cap(d.small) > 2000 {
			t.Errorf("a Draft of 1000 bytes has a buffer of %d", cap(d.small))
		}
		drafts = append(drafts, d)
	}
	for _, d := range drafts {
		d.Close()
	}
}

// One file against two, by size: see maxSmall.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int64{1 << 10, 8 << 10, 32 << 10, 64 << 10} {
		for _, files := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d bytes/%d files", size, files), func(b *testing.B) {
				s := New(disk.New(DefaultPath(b.TempDir())), Limits{}, clocktest.New().Clock())
				content, n := make([]byte, size), 0
				for b.Loop() {
					n++
					d := &Draft{store: s, size: size}
					if files == 1 {
						d = s.Create(size)
					} else if err := d.createFile(); err != nil {
						b.Fatal(err)
					}
					if _, err := d.WriteAt(content, 0); err != nil {
						b.Fatal(err)
					}
					sum := blocks.NewDigest(size, nil)
					sum.Write(content)
					key := Key{Name: fmt.Sprint(n % 1000)}
					if _, err := d.Publish(Meta{Key: key, Size: size}, sum, Validation{}, func() bool { return false }); err != nil {
						b.Fatal(err)
					}
					d.Close()
				}
			})
		}
	}
}
