package disktier

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

func TestRoom(t *testing.T) {
	for size, want := range map[int64]int64{0: 0, 1: 4096, 4096: 4096, 4097: 8192, 12_288: 12_288} {
		if got := room(size); got != want {
			t.Errorf("room(%d) = %d, want %d", size, got, want)
		}
	}
}

// set sets a record of that many pages, and makes it that old.
func set(t *testing.T, tier *Tier, name string, pages int, age time.Duration) {
	t.Helper()
	r := cache.TierRecord{Name: name, Record: make([]byte, pages<<12-headSize), TTL: time.Hour}
	if err := tier.Set(background, r); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-age)
	if err := os.Chtimes(tier.recordPath(name), at, at); err != nil && tier.kept(name) {
		t.Fatal(err)
	}
}

func (t *Tier) kept(name string) bool {
	_, err := os.Stat(t.recordPath(name))
	return err == nil
}

func openBudget(t *testing.T, pages int64) *Tier {
	t.Helper()
	tier := openTier(t, t.TempDir())
	if _, err := tier.Get(background, "makes the directory", nil); err != nil {
		t.Fatal(err)
	}
	tier.maxBytes = pages << 12
	return tier
}

// The budget may be used to its last page. One more evicts the oldest, until a quarter
// is free beside the new one.
func TestEvictionIsExact(t *testing.T) {
	const pages = 80
	tier := openBudget(t, pages)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for i, name := range names {
		set(t, tier, name, pages/8, time.Duration(len(names)-i)*time.Minute)
	}
	for _, name := range names {
		if !tier.kept(name) {
			t.Errorf("%s was evicted from a budget that it fits", name)
		}
	}
	if tier.used != pages<<12 {
		t.Errorf("%d bytes count as used, want all %d", tier.used, pages<<12)
	}
	set(t, tier, "one more", 1, 0) // 81 pages: three go, since 80+1-20 > 60
	for i, name := range names {
		if got, want := tier.kept(name), i > 2; got != want {
			t.Errorf("%s: kept %v", name, got)
		}
	}
	if want := int64(51 << 12); !tier.kept("one more") || tier.used != want {
		t.Errorf("%d bytes count as used, want %d", tier.used, want)
	}
}

// A record that fits exactly evicts nothing, also in a Tier that has to count first;
// and no more is evicted than leaves exactly a quarter free.
func TestEvictionStopsAtTheBound(t *testing.T) {
	tier := openBudget(t, 80)
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
		set(t, tier, name, 10, time.Duration(10-i)*time.Minute)
	}
	again := newTier(tier.dir, tier.maxBytes, tier.clock, disk.New(tier.dir))
	set(t, again, "h", 10, 0)
	if !again.kept("a") {
		t.Error("a record that fits exactly was evicted")
	}
	set(t, again, "i", 10, 0) // 50 + 10 = 3/4 of 80
	if again.kept("c") || !again.kept("d") {
		t.Errorf("c kept: %v, d kept: %v", again.kept("c"), again.kept("d"))
	}
}

// A record of an eighth of the budget is kept, a larger one is not, and evicts nothing.
func TestLargestRecord(t *testing.T) {
	tier := openBudget(t, 80)
	set(t, tier, "an eighth", 10, 0)
	r := cache.TierRecord{Name: "more", Record: make([]byte, 10<<12-headSize+1), TTL: time.Hour}
	if err := tier.Set(background, r); err != nil {
		t.Error(err)
	}
	if !tier.kept("an eighth") || tier.kept("more") {
		t.Errorf("an eighth kept: %v, more: %v", tier.kept("an eighth"), tier.kept("more"))
	}
}

// While there is room, Set does not list the directory.
func TestSetListsOnlyWhenItMust(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tier")
	lists := 0
	tier := newTier(dir, 80<<12, clock.New(), &hooked{FS: disk.New(dir), before: func(op string) error {
		if op == "readdir" {
			lists++
		}
		return nil
	}})
	if _, err := tier.Get(background, "n", nil); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		set(t, tier, name, 10, 0)
		want := 1
		if i >= 8 { // the first eviction makes room for two more
			want = 2
		}
		if lists != want {
			t.Errorf("%d lists after %s, want %d", lists, name, want)
		}
	}
}

// A young temporary file is another process's, and counts; an old one is removed. Files
// that no Tier has made stay.
func TestLeftovers(t *testing.T) {
	tier := openBudget(t, 80)
	hour := time.Now().Add(-time.Hour)
	for name, old := range map[string]bool{disk.TempPrefix + "young": false, disk.TempPrefix + "old": true, "notes": true, "abcd": true} {
		p := filepath.Join(tier.dir, name)
		if err := os.WriteFile(p, make([]byte, 5000), 0o600); err != nil {
			t.Fatal(err)
		}
		if old {
			os.Chtimes(p, hour, hour)
		}
	}
	set(t, tier, "x", 1, 0)
	for name, want := range map[string]bool{disk.TempPrefix + "young": true, disk.TempPrefix + "old": false, "notes": true, "abcd": true} {
		if _, err := os.Stat(filepath.Join(tier.dir, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if want := int64(3 << 12); tier.used != want {
		t.Errorf("%d bytes count as used, want %d", tier.used, want)
	}
}
