package filecache

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/disk"
)

// Each miss is counted under its reason.
func TestMissReasons(t *testing.T) {
	var want MissReasons
	c, o := newTest(t, Options{MaxAge: time.Minute, MaxBytes: 3 * onDisk(largeSize) / 2}, nil), newOrigin(largeSize)
	other := newOrigin(largeSize)
	other.name = "other"
	step := func(name string) {
		t.Helper()
		if got := c.Stats().MissesBy; got != want {
			t.Errorf("%s: misses by %+v, want %+v", name, got, want)
		}
	}
	c.want(o)
	want.Absent++
	step("first")

	o.put(randomBytes(largeSize, 2))
	c.clocks.Move(time.Minute, time.Minute)
	c.want(o)
	want.Changed++
	step("replaced at the origin")

	c.want(other)
	want.Absent++
	c.want(o)
	want.Evicted++
	step("evicted")

	c.Forget(o)
	c.want(o)
	want.Forgotten++
	c.Clear()
	c.want(o)
	want.Forgotten++
	step("forgotten")

	flip(t, c.only(c.dataFiles()), 10)
	c.want(o) // a hit, and a range for the block
	step("hit with a damaged block")
	c.want(o)
	want.Damaged++
	step("damaged block")

	damaged := c.restart(nil)
	flip(t, c.only(c.entryFiles()), 20)
	damaged.want(o)
	if by := damaged.Stats().MissesBy; by != (MissReasons{Damaged: 1}) {
		t.Errorf("damaged entry: misses by %+v", by)
	}
	failing := c.restart(&faultyDisk{from: 1, err: syscall.EIO})
	for range 2 * disk.BreakAfter {
		failing.want(o)
	}
	if by := failing.Stats().MissesBy; by != (MissReasons{NoDisk: 2 * disk.BreakAfter}) {
		t.Errorf("failing disk: misses by %+v", by)
	}
	if s := c.Stats(); s.Misses != want.Absent+want.Changed+want.Evicted+want.Forgotten+want.Damaged {
		t.Errorf("%d misses", s.Misses)
	}
}

// Bytes are counted by their source, and a copy is verified once.
func TestStatsOfReads(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	c.want(o)
	s := c.Stats()
	if s.OriginBytes != someSize || s.DiskBytes != someSize || s.Verified != 0 {
		t.Errorf("after a miss: %+v", s)
	}
	n := c.restart(nil)
	n.want(o)
	n.want(o)
	s = n.Stats()
	if s.OriginBytes != 0 || s.DiskBytes != 2*someSize || s.Verified != 1 || s.Hits != 2 {
		t.Errorf("after two hits: %+v", s)
	}
	flip(t, c.only(c.dataFiles()), blocks.MinSize+5)
	n = c.restart(nil)
	n.want(o)
	s = n.Stats()
	if s.OriginBytes != blocks.MinSize || s.DiskBytes != someSize-blocks.MinSize || s.Repairs != 1 || s.FaultsBy["damaged"] != 1 {
		t.Errorf("after a repair: %+v", s)
	}
}

func TestFaultsByErrno(t *testing.T) {
	for errno, name := range map[syscall.Errno]string{syscall.EIO: "EIO", syscall.ENOSPC: "ENOSPC", syscall.EROFS: "EROFS"} {
		c, o := newTest(t, Options{}, &faultyDisk{from: 1, err: errno}), newOrigin(100)
		c.want(o)
		s := c.Stats()
		if s.Faults == 0 || s.FaultsBy[name] != s.Faults {
			t.Errorf("Stats = %+v, want them all under %s", s, name)
		}
		s.FaultsBy["x"] = 1 // the map belongs to the caller
		if c.Stats().FaultsBy["x"] != 0 {
			t.Error("the map is shared")
		}
	}
}

func TestStatsAreLogged(t *testing.T) {
	c, o := newTest(t, Options{}, &faultyDisk{from: 1, err: syscall.EIO}), newOrigin(100)
	for range disk.BreakAfter {
		c.want(o)
	}
	var buf bytes.Buffer
	slog.New(slog.NewJSONHandler(&buf, nil)).Info("x", "files", c.Stats())
	var line struct {
		Files struct {
			Misses   int64 `json:"misses"`
			MissesBy struct {
				NoDisk int64 `json:"no_disk"`
			} `json:"misses_by"`
			FaultsBy map[string]int64 `json:"faults_by"`
			Breaker  string           `json:"breaker"`
		} `json:"files"`
	}
	if err := json.Unmarshal(buf.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	f := line.Files
	if f.Misses != disk.BreakAfter || f.MissesBy.NoDisk != disk.BreakAfter || f.FaultsBy["EIO"] != disk.BreakAfter || f.Breaker != "open" {
		t.Errorf("logged: %s", buf.Bytes())
	}
}

// A hit whose data turn out to be missing when opened counts as a miss only.
func TestStatsOfCopiesThatCannotBeOpened(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(largeSize)
	c.want(o)
	failing := c.restart(&closedData{})
	failing.want(o)
	if s := failing.Stats(); s.Hits != 0 || s.Misses != 1 || s.Uncached != 1 || s.MissesBy.NoDisk != 1 {
		t.Errorf("data that cannot be opened: %+v", s)
	}
	next := c.restart(nil)
	next.want(o)
	if s := next.Stats(); s.Hits != 1 || s.Misses != 0 {
		t.Errorf("none of it is wrong: %+v", s)
	}
	if err := os.Remove(c.only(c.dataFiles())); err != nil {
		t.Fatal(err)
	}
	next = c.restart(nil)
	next.want(o)
	if s := next.Stats(); s.Hits != 0 || s.Misses != 1 || s.MissesBy.Damaged != 1 {
		t.Errorf("the data is missing: %+v", s)
	}
}

// closedData is a disk without descriptors for data files.
type closedData struct{ osDisk }

func (d *closedData) Open(p string) (disk.File, error) {
	if filepath.Base(filepath.Dir(p)) == "d" {
		return nil, &fs.PathError{Op: "open", Path: p, Err: syscall.EMFILE}
	}
	return d.osDisk.Open(p)
}
