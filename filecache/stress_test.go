package filecache

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/minio/crc64nvme"
)

// Everything at once, in two caches as in two processes: for the race detector.
func TestEverythingAtOnce(t *testing.T) {
	dir := t.TempDir()
	cs := []*Cache{}
	for range 2 {
		cs = append(cs, Must(New(Options{Dir: dir, MaxAge: time.Millisecond, MaxBytes: 4 * onDisk(300_000)})))
	}
	objs := objects(8, 300_000)
	stop := time.Now().Add(500 * time.Millisecond)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := g; time.Now().Before(stop); i++ {
				c, o := cs[i%2], objs[(i*7+g)%8]
				switch i % 11 {
				case 0:
					c.Forget(o)
				case 1:
					if i%50 == 1 {
						c.Clear()
					}
				case 2:
					p, release, err := c.Path(background, o)
					if err != nil {
						if !errors.Is(err, ErrNoDisk) {
							t.Error(err)
						}
						continue
					}
					b, err := os.ReadFile(p)
					if err != nil || len(b) != 300_000 {
						t.Errorf("Path: %d, %v", len(b), err)
					}
					release()
				default:
					b, err := c.ReadFile(background, o)
					if err != nil || crc64nvme.Checksum(b) != crc64nvme.Checksum(o.body) {
						t.Error("wrong bytes or", err)
					}
				}
			}
		}()
	}
	wg.Wait()
	for _, c := range cs {
		// An object that was never opened is freed by the garbage collector.
		waitFor(t, func() bool { runtime.GC(); return c.heldMemory() == 0 })
		if u := c.store.TestUsage(); u.Files != 0 || u.Open != 0 || u.Reserved != 0 || u.Written != 0 || c.heldMemory() != 0 {
			t.Errorf("left: %+v, %d in memory", u, c.heldMemory())
		}
	}
}
