package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// A writer that outlasts its Draft changes no other one, although they share buffers.
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

// A Draft does not allocate a buffer for each object.
func TestSmallBuffersAreReused(t *testing.T) {
	s, _ := newStore(t, 1<<30)
	used := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Create(maxSmall).Close()
		}
	})
	if n := used.AllocedBytesPerOp(); n > maxSmall/2 { // with the race detector, pools lose a quarter
		t.Errorf("each Draft allocates %d bytes", n)
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
