package store

import (
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// If the process was frozen between the readings of the two clocks, they are read again.
func TestClocksReadApart(t *testing.T) {
	clocks := clocktest.New()
	bootOf := func(frozen int) (*boots, *int) {
		n := 0
		return &boots{clock: clocks.Clock(), read: func() ([16]byte, int64) {
			mono := clocks.Now().Mono + 1000
			if n++; n <= frozen {
				clocks.Move(time.Hour, time.Hour)
			}
			return [16]byte{1}, mono
		}}, &n
	}
	var e entry
	writer, _ := bootOf(0)
	at := clocks.Now()
	writer.record(&e, at)
	reader, n := bootOf(1)
	if got := reader.instant(&e); got != at || *n != 2 {
		t.Errorf("%v after %d readings, want %v", got, *n, at)
	}
	never, _ := bootOf(1000)
	if never.record(&e, at); e.boot != [16]byte{} {
		t.Error("clocks that were never read together are used")
	}
}
