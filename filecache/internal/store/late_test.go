package store

import (
	"strings"
	"testing"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"
)

// hookedDisk calls publish after a data file got its name, and remove before one is
// removed.
type hookedDisk struct {
	disk.FS
	publish, remove func()
}

func (d *hookedDisk) Create(dir string, size int64) (disk.NewFile, error) {
	f, err := d.FS.Create(dir, size)
	if dir != dataDir || err != nil {
		return f, err
	}
	return hookedFile{f, d}, nil
}

func (d *hookedDisk) Remove(name string) error {
	if strings.HasPrefix(name, dataDir+"/") && d.remove != nil {
		d.remove()
	}
	return d.FS.Remove(name)
}

type hookedFile struct {
	disk.NewFile
	disk *hookedDisk
}

func (f hookedFile) Publish(name string) error {
	err := f.NewFile.Publish(name)
	if f.disk.publish != nil {
		f.disk.publish()
	}
	return err
}

// A process publishes a large copy without the lock of its entry, which another one held
// for too long. A third one takes the data for an orphan, and removes it before or after
// the entry is added. No entry without data is left.
func TestLateLock(t *testing.T) {
	for _, after := range []bool{false, true} {
		dir := DefaultPath(t.TempDir())
		d := &hookedDisk{FS: disk.New(dir)}
		s := New(d, Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
		other := &hookedDisk{FS: disk.New(dir)}
		third := New(other, Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
		key := Key{Name: "x"}
		if err := d.Make(); err != nil {
			t.Fatal(err)
		}
		release := third.TestLockEntry(key)
		removed := make(chan bool)
		began, added := make(chan bool), make(chan bool)
		if after {
			other.remove = func() { began <- true; <-added }
		}
		d.publish = func() { // the entry is not there yet
			release()
			names, err := d.ReadDir(dataDir)
			if err != nil || len(names) != 1 {
				t.Fatalf("%v, %v", names, err)
			}
			go func() { removed <- third.removeOrphan(names[0]) }()
			if after {
				<-began
			} else if !<-removed {
				t.Error("the data was not taken for an orphan")
			}
		}
		_, put := publish(t, s, "x", 2*maxSmall)
		if after {
			close(added)
			if !<-removed {
				t.Error("the data was not taken for an orphan")
			}
		}
		if after && put != nil || !after && put != errOrphaned {
			t.Errorf("after the entry: %v; Publish: %v", after, put)
		}
		if got := taken(t, dir); got != (room{}) {
			t.Errorf("after the entry: %v; %v is taken", after, got)
		}
		if f := s.Stats().Faults + third.Stats().Faults; f > 0 {
			t.Errorf("%d faults", f)
		}
	}
}

// A process replaces a copy without the lock, while the holder of the lock revalidates the
// old one. The old data stays until a walk, so that the holder's entry has its data.
func TestLateLockLeavesOldData(t *testing.T) {
	s, dir := newStore(t, 1<<30)
	third := New(disk.New(dir), Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
	put(t, s, "x", 2*maxSmall)
	key := Key{Name: "x"}
	old, err := third.Find(key)
	if err != nil {
		t.Fatal(err)
	}
	release := third.TestLockEntry(key)
	f, err := third.build(old.entry, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put(t, s, "x", 3*maxSmall)
	if err := third.replace(f, key.entryName()); err != nil { // it had read the old entry before
		t.Fatal(err)
	}
	release()
	other := New(disk.New(dir), Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
	c, err := other.Find(key)
	if err != nil || c.data != old.data {
		t.Fatalf("%+v, %v", c, err)
	}
	file, _, err := other.openBytes(c)
	if err != nil {
		t.Fatalf("an entry without data: %v", err)
	}
	file.Close()
	walkRounds(t, other, 2)
	for other.removeLitter(10) {
	}
	if got := taken(t, dir); got.files != 2 {
		t.Errorf("%v is taken, want an entry and its data", got)
	}
}
