package disk

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// actAs makes this package treat the process as one of user uid.
func actAs(t *testing.T, uid uint32) {
	t.Helper()
	real := euid
	euid = func() uint32 { return uid }
	t.Cleanup(func() { euid = real })
}

// forcedOwner mounts a file system that assigns all files to uid 7777, like EFS access
// points and squashed NFS.
func forcedOwner(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a file system")
	}
	if _, err := exec.LookPath("bindfs"); err != nil {
		if os.Getenv("WARMCACHE_TEST_REQUIRE") == "all" {
			t.Fatal("bindfs is not installed")
		}
		t.Skip("bindfs is not installed")
	}
	real, dir := t.TempDir(), t.TempDir()
	if out, err := exec.Command("bindfs", "--force-user=7777", "--create-for-user=7777", real, dir).CombinedOutput(); err != nil {
		t.Skipf("cannot mount a file system here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// If all files have the same foreign owner, the owner is no evidence of another user. The
// directory is used, by this process and by the next.
func TestForcedOwner(t *testing.T) {
	dir := forcedOwner(t)
	actAs(t, 4242)
	for range 2 {
		d := New(filepath.Join(dir, "private"))
		if err := d.Make(); err != nil {
			t.Fatal(err)
		}
		if err := d.Mkdir("d"); err != nil {
			t.Fatal(err)
		}
		put(t, d, "x", "one")
		wantRead(t, d, "d/x", "one")
		if info, err := d.Lstat("d/x"); err != nil || !info.Private() {
			t.Errorf("Lstat = %+v, %v", info, err)
		}
		if names, err := d.ReadDir(""); err != nil || len(names) != 1 {
			t.Errorf("ReadDir = %v, %v", names, err)
		}
	}
}

// Root could make a named file in any user's directory, and must not try.
func TestForcedOwnerOfRoot(t *testing.T) {
	d := New(filepath.Join(forcedOwner(t), "private"))
	err := d.Make()
	if !errors.Is(err, ErrNotPrivate) || !strings.Contains(err.Error(), "uid 7777 and this process is uid 0") {
		t.Errorf("Make = %v", err)
	}
	if names, _ := os.ReadDir(d.path); len(names) != 0 {
		t.Errorf("the directory was changed: %v", names)
	}
}

// On other file systems, a directory of another user is refused.
func TestOwnerIsNotForced(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	d := newDir(t)
	put(t, d, "x", "one")
	if err := os.Chown(d.path, 7777, 7777); err != nil {
		t.Fatal(err)
	}
	for _, uid := range []uint32{0, 4242} {
		actAs(t, uid)
		if err := New(d.path).Check(); !errors.Is(err, ErrNotPrivate) {
			t.Errorf("uid %d: Check = %v", uid, err)
		}
	}
}
