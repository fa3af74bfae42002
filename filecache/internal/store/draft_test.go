package store

import (
	"bytes"
	"errors"
	"io/fs"
	"testing"
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
