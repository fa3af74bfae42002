package filecache

import (
	"bytes"
	"sync"
	"syscall"
	"testing"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Parts are written concurrently and from the end, and the disk fills up in the middle:
// no earlier part is lost.
func TestPartsAtTheSameTimeOnADiskThatFillsUp(t *testing.T) {
	b := randomBytes(16*blocks.MinSize, 5)
	for n := range 18 {
		d := &faultyDisk{err: syscall.ENOSPC}
		c := newTest(t, Options{}, d)
		s := c.newSink(int64(len(b)), true)
		writes := 0
		d.fails = func(op string) bool {
			if op == "write" {
				writes++
			}
			return op == "write" && writes > n
		}
		writeParts(t, s, b)
		got := s.memory
		if s.draft != nil {
			got = make([]byte, len(b))
			s.draft.ReadBack(got)
		}
		if !bytes.Equal(got, b) || (s.memory != nil) != (n < 16) {
			t.Errorf("full after %d writes: wrong bytes", n)
		}
		if n := c.usage().Written; s.draft != nil && n != s.size {
			t.Errorf("%d bytes of %d count as written", n, s.size)
		}
		s.close()
		if c.usage().Reserved != 0 || c.usage().Written != 0 || c.heldMemory() != 0 {
			t.Errorf("full after %d writes: room is still reserved", n)
		}
	}
}

func writeParts(t *testing.T, s *sink, b []byte) {
	var wg sync.WaitGroup
	for i := len(b)/blocks.MinSize - 1; i >= 0; i-- {
		wg.Go(func() {
			off := i * blocks.MinSize
			if _, err := s.WriteAt(b[off:][:blocks.MinSize], int64(off)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
