package disktier

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"
)

// hooked is the real disk, with a hook before each operation that may make it fail.
type hooked struct {
	disk.FS
	before func(op string) error
}

func (h *hooked) Make() error {
	if err := h.before("make"); err != nil {
		return err
	}
	return h.FS.Make()
}

func (h *hooked) Open(name string) (disk.File, error) {
	if err := h.before("open"); err != nil {
		return nil, err
	}
	f, err := h.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return &hookedFile{f, nil, h}, nil
}

func (h *hooked) Modify(name string) (disk.Modifiable, error) {
	if err := h.before("modify"); err != nil {
		return nil, err
	}
	f, err := h.FS.Modify(name)
	if err != nil {
		return nil, err
	}
	return &hookedFile{f, f, h}, nil
}

func (h *hooked) Create(dir string, size int64) (disk.NewFile, error) {
	if err := h.before("create"); err != nil {
		return nil, err
	}
	f, err := h.FS.Create(dir, size)
	if err != nil {
		return nil, err
	}
	return hookedNew{f, h}, nil
}

func (h *hooked) ReadDir(name string) ([]string, error) {
	if err := h.before("readdir"); err != nil {
		return nil, err
	}
	return h.FS.ReadDir(name)
}

func (h *hooked) Lstat(name string) (disk.Info, error) {
	if err := h.before("lstat"); err != nil {
		return disk.Info{}, err
	}
	return h.FS.Lstat(name)
}

func (h *hooked) RemoveAll(name string) error {
	if err := h.before("removeall"); err != nil {
		return err
	}
	return h.FS.RemoveAll(name)
}

type hookedFile struct {
	disk.File
	w interface {
		WriteAt([]byte, int64) (int, error)
	}
	h *hooked
}

func (f *hookedFile) Stat() (disk.Info, error) {
	if err := f.h.before("fstat"); err != nil {
		return disk.Info{}, err
	}
	return f.File.Stat()
}

func (f *hookedFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.h.before("read"); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *hookedFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.h.before("writeat"); err != nil {
		return 0, err
	}
	return f.w.WriteAt(p, off)
}

type hookedNew struct {
	disk.NewFile
	h *hooked
}

func (f hookedNew) Write(p []byte) (int, error) {
	if err := f.h.before("write"); err != nil {
		return f.NewFile.Write(p[:len(p)/2])
	}
	return f.NewFile.Write(p)
}

func (f hookedNew) MakeModifiable() error {
	if err := f.h.before("chmod"); err != nil {
		return err
	}
	return f.NewFile.MakeModifiable()
}

func (f hookedNew) Publish(name string) error {
	if err := f.h.before("publish"); err != nil {
		return err
	}
	return f.NewFile.Publish(name)
}

func (f hookedNew) Replace(name string) error {
	if err := f.h.before("replace"); err != nil {
		return err
	}
	return f.NewFile.Replace(name)
}

// life sets, gets, deletes and sets again, as two processes do. It reports an error
// if Get returns a deleted record, or one that was not set.
func life(t *testing.T, dir string, d disk.FS) {
	t.Helper()
	for _, value := range []string{"1", "2"} {
		tier := newTier(dir, DefaultMaxBytes, clock.New(), d)
		valid := "" // the record that may be found; empty: none
		find := func() (lease string) {
			lease, _ = tier.Get(background, "n", func(b []byte) bool {
				if string(b) != valid {
					t.Errorf("found %q, want %q", b, valid)
				}
				return true
			})
			return lease
		}
		if value == "2" {
			valid = "1b"
		}
		old := find()
		if tier.Delete(background, "n") != nil {
			return // and the caller got the error
		}
		valid = ""
		tier.Set(background, cache.TierRecord{Name: "n", Lease: old, Record: []byte("late"), TTL: time.Hour})
		lease := find()
		if lease == "" {
			continue
		}
		valid = value + "b"
		tier.Set(background, cache.TierRecord{Name: "n", Lease: lease, Record: []byte(valid), TTL: time.Hour})
		find()
	}
}

// Each operation on the disk fails once, or it and all after it. No Get finds a wrong
// record, or a deleted one.
func TestEveryFaultOfTheDisk(t *testing.T) {
	ops := 0
	count := &hooked{disk.New(filepath.Join(t.TempDir(), "tier")), func(string) error { ops++; return nil }}
	life(t, t.TempDir(), count)
	if ops < 20 {
		t.Fatalf("only %d operations", ops)
	}
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC, fs.ErrNotExist} {
		for _, forever := range []bool{false, true} {
			for at := 1; at <= ops; at++ {
				dir := filepath.Join(t.TempDir(), "tier")
				n := 0
				life(t, dir, &hooked{disk.New(dir), func(string) error {
					if n++; n == at || forever && n > at {
						return errno
					}
					return nil
				}})
				if t.Failed() {
					t.Fatalf("%v at operation %d, forever %v", errno, at, forever)
				}
			}
		}
	}
}

// A directory that keeps failing is not used for a while. A Delete returns an error
// meanwhile.
func TestBreaker(t *testing.T) {
	var broken atomic.Bool
	calls := 0
	clocks := clocktest.New()
	dir := filepath.Join(t.TempDir(), "tier")
	tier := newTier(dir, DefaultMaxBytes, clocks.Clock(), &hooked{disk.New(dir), func(string) error {
		calls++
		if broken.Load() {
			return syscall.EIO
		}
		return nil
	}})
	var loads atomic.Int64
	wantGet(t, newCache(tier, &loads), "k", "k v1")
	broken.Store(true)
	for range disk.BreakAfter {
		if _, err := tier.Get(background, "n", nil); !errors.Is(err, syscall.EIO) {
			t.Errorf("Get = %v", err)
		}
	}
	calls = 0
	if _, err := tier.Get(background, "n", nil); !errors.Is(err, disk.ErrOpen) {
		t.Errorf("Get = %v", err)
	}
	if err := tier.Delete(background, "n"); !errors.Is(err, disk.ErrOpen) {
		t.Errorf("Delete = %v", err)
	}
	if err := tier.Set(background, cache.TierRecord{Name: "n", Record: []byte("x"), TTL: time.Hour}); !errors.Is(err, disk.ErrOpen) {
		t.Errorf("Set = %v", err)
	}
	if calls != 0 {
		t.Errorf("%d calls to a disk that is not used", calls)
	}
	broken.Store(false)
	clocks.Move(disk.FirstOpenFor, disk.FirstOpenFor)
	if _, err := tier.Get(background, "n", nil); err != nil {
		t.Errorf("Get = %v", err)
	}
	if state, opened := tier.breaker.State(); state != disk.Closed || opened != 1 {
		t.Errorf("the breaker is %v, and was open %d times", state, opened)
	}
}

// A transient error does not end the epochs, and with them all records.
func TestTransientFaultKeepsTheEpochs(t *testing.T) {
	fail := false
	dir := filepath.Join(t.TempDir(), "tier")
	tier := newTier(dir, DefaultMaxBytes, clock.New(), &hooked{disk.New(dir), func(op string) error {
		if fail && op == "open" {
			return syscall.EMFILE
		}
		return nil
	}})
	var loads atomic.Int64
	wantGet(t, newCache(tier, &loads), "k", "k v1")
	fail = true
	wantGet(t, newCache(tier, &loads), "k", "k v2") // not stored: there was no lease
	fail = false
	wantGet(t, newCache(tier, &loads), "k", "k v1")
}
