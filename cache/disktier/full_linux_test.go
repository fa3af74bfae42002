package disktier

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/cache"
)

// On a full disk, no record is stored any more, but records can be deleted.
func TestDeleteOnFullDisk(t *testing.T) {
	dir := smallDisk(t)
	tier := openTier(t, dir)
	lease, err := tier.Get(background, "n", nil)
	if err != nil {
		t.Fatal(err)
	}
	r := cache.TierRecord{Name: "n", Lease: lease, Record: []byte("old"), TTL: time.Hour}
	if err := tier.Set(background, r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	if err := tier.Set(background, r); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Set: %v", err)
	}
	if err := tier.Delete(background, "n"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	_, err = tier.Get(background, "n", func(record []byte) bool {
		t.Errorf("found %q", record)
		return true
	})
	if err != nil {
		t.Errorf("Get: %v", err)
	}
}

// smallDisk mounts a file system of 2 MiB, which only root can.
func smallDisk(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("cannot mount a file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}
