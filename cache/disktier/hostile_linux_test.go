package disktier

import (
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/disk"
	"github.com/warmcache/warmcache/internal/disk/disktest"
)

// A FIFO or a device in the place of a file does not block, and is replaced; in the
// place of the directory, no record is stored.
func TestFIFOsAndDevices(t *testing.T) {
	for name, kind := range map[string]uint32{"a FIFO": unix.S_IFIFO, "a device": unix.S_IFCHR} {
		for _, file := range []string{recordName("test/1:k"), epochFile, ""} {
			t.Run(name+" as "+file, func(t *testing.T) {
				if kind == unix.S_IFCHR && os.Geteuid() != 0 {
					t.Skip("needs root")
				}
				var loads atomic.Int64
				tier := openTier(t, t.TempDir())
				wantGet(t, newCache(tier, &loads), "k", "k v1")
				path := filepath.Join(tier.dir, file)
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				if err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(1, 5))); err != nil { // /dev/zero
					t.Skip("cannot make one here:", err)
				}
				wantGet(t, newCache(tier, &loads), "k", "k v2")
				want := "k v2"
				if file == "" {
					want = "k v3"
				}
				wantGet(t, newCache(tier, &loads), "k", want)
			})
		}
	}
}

// Get never returns a record of the attacker, and no file of the victim is changed.
func TestAttackedByAnotherUser(t *testing.T) {
	name := "warmcache.tier.v1." + strconv.Itoa(os.Geteuid())
	s := disktest.NewScene(t, name, nil, []string{recordName("n"), epochFile, disk.TempPrefix + "1"})
	found, refused := 0, 0
	for i := 0; !s.Over(found > 0 && refused > 0); i++ {
		tier := openTier(t, s.Dir)
		for range 20 {
			lease, err := tier.Get(background, "n", func(b []byte) bool {
				if string(b) != "mine" {
					t.Fatalf("found %q", b)
				}
				found++
				return true
			})
			if err != nil {
				refused++
			} else if lease != "" {
				tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte("mine"), TTL: time.Hour})
			}
			if i%5 == 0 {
				tier.Delete(background, "n")
			}
		}
	}
	s.WantUntouched(t)
	if found == 0 || refused == 0 {
		t.Errorf("the attack is void: %d found, %d refused", found, refused)
	}
}
