package filecache

import (
	"bytes"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// Summers of parts, joined, know what one of the whole knows.
func TestJoinedSummersAreThatOfTheWhole(t *testing.T) {
	b := randomBytes(5*minBlockSize+123, 4)
	sums := sumsOf(b)[:3] // the CRCs
	all, joined := newSummer(int64(len(b)), sums), newSummer(int64(len(b)), sums)
	all.Write(b)
	for part := range slices.Chunk(b, 2*minBlockSize) {
		next := newSummer(int64(len(part)), sums)
		next.Write(part)
		joined.join(next)
	}
	if err := joined.verify(); err != nil || !slices.Equal(joined.blocks, all.blocks) || joined.done != all.done {
		t.Errorf("verify = %v, %d blocks, %d bytes", err, len(joined.blocks), joined.done)
	}
	b[len(b)-1]++
	joined = newSummer(int64(len(b)), sums)
	joined.Write(b)
	if joined.verify() == nil {
		t.Error("wrong bytes pass")
	}
}

func TestOnlyCRCsCanBeJoined(t *testing.T) {
	for i, s := range sumsOf(nil) {
		if got, want := newSummer(0, []Checksum{s}).joins(), i < 3; got != want {
			t.Errorf("%v: %v", s.Algorithm, got)
		}
	}
}

// Parts are written from the back and at the same time, and the disk fills up in
// the middle: nothing written before is lost.
func TestPartsAtTheSameTimeOnADiskThatFillsUp(t *testing.T) {
	b := randomBytes(16*minBlockSize, 5)
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
		if s.file != nil {
			got = make([]byte, len(b))
			s.file.ReadAt(got, 0)
		}
		if !bytes.Equal(got, b) || (s.memory != nil) != (n < 16) {
			t.Errorf("full after %d writes: wrong bytes", n)
		}
		if s.file != nil && s.written != s.size {
			t.Errorf("%d bytes of %d count as written", s.written, s.size)
		}
		s.close()
		if c.budget.reserved != 0 || c.budget.written != 0 || c.memory.held != 0 {
			t.Errorf("full after %d writes: room is still taken", n)
		}
	}
}

func writeParts(t *testing.T, s *sink, b []byte) {
	var wg sync.WaitGroup
	for i := len(b)/minBlockSize - 1; i >= 0; i-- {
		wg.Go(func() {
			off := i * minBlockSize
			if _, err := s.WriteAt(b[off:][:minBlockSize], int64(off)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
