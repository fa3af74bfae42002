package store

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"
)

// countingDisk counts calls that read attributes or files, and fails to open one file.
type countingDisk struct {
	disk.FS
	lstats, opens int
	unreadable    string
}

func (d *countingDisk) Lstat(name string) (disk.Info, error) {
	d.lstats++
	return d.FS.Lstat(name)
}

func (d *countingDisk) Open(name string) (disk.File, error) {
	d.opens++
	if name == d.unreadable {
		return nil, &os.PathError{Op: "open", Path: name, Err: syscall.EIO}
	}
	return d.FS.Open(name)
}

// smallCopies is the size of the objects of fill.
const smallCopies = 5000

// fill publishes n copies and then reads the whole directory, as earlier evictions do.
func fill(t *testing.T, s *Store, n int) {
	t.Helper()
	for i := range n {
		if !put(t, s, fmt.Sprint(i), smallCopies) {
			t.Fatal("no room")
		}
	}
	walkRounds(t, s, 2)
}

// newFullStore returns a Store with n copies and no room for more, on a countingDisk.
func newFullStore(t *testing.T, n int) (*Store, *countingDisk) {
	t.Helper()
	d := &countingDisk{FS: disk.New(DefaultPath(t.TempDir()))}
	s := New(d, Limits{MaxBytes: int64(n) * roomFor(smallCopies).bytes}, clocktest.New().Clock())
	fill(t, s, n)
	return s, d
}

// walkRounds continues the walk until it has begun a round and completed n.
func walkRounds(t *testing.T, s *Store, n int) {
	t.Helper()
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	for end := s.budget.rounds + n; s.budget.rounds < end; {
		if err := s.budget.step(1); err != nil {
			t.Fatal(err)
		}
	}
}

// setUsed sets the time of a copy's last use, as another process could.
func setUsed(t *testing.T, dir, name string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(dir, entryDir, Key{Name: name}.entryName()), at, at); err != nil {
		t.Fatal(err)
	}
}

// An eviction reads the one entry that it removes, and the attributes of few others,
// because a round knows most entries from the round before.
func TestEvictionReadsLittle(t *testing.T) {
	const n = 2000
	s, d := newFullStore(t, n)
	d.lstats, d.opens = 0, 0
	for i := range n {
		if !put(t, s, fmt.Sprint("new", i), smallCopies) {
			t.Fatal("no room")
		}
	}
	if s.evictions.Load() != n {
		t.Fatalf("%d evictions, want %d", s.evictions.Load(), n)
	}
	if most := n * (refreshPerStep + 3); d.lstats > most {
		t.Errorf("%d evictions read the attributes of %d files, want at most %d", n, d.lstats, most)
	}
	if d.opens > n+n/100 {
		t.Errorf("%d evictions opened %d files", n, d.opens)
	}
}

// Evictions spare recently used copies, although the walk reads few attributes.
func TestEvictionSparesRecentCopies(t *testing.T) {
	const n, used, evictions = 2000, 500, 1000
	first, dir := newStore(t, n*roomFor(smallCopies).bytes)
	fill(t, first, n)
	now := time.Now()
	for i := range n {
		if i >= used {
			setUsed(t, dir, fmt.Sprint(i), now.Add(time.Duration(-i)*time.Minute))
		}
	}
	s := New(disk.New(dir), Limits{MaxBytes: n * roomFor(smallCopies).bytes}, clocktest.New().Clock())
	walkRounds(t, s, 1)
	for i := range evictions {
		if !put(t, s, fmt.Sprint("new", i), smallCopies) {
			t.Fatal("no room")
		}
	}
	if s.evictions.Load() != evictions {
		t.Fatalf("%d evictions, want %d", s.evictions.Load(), evictions)
	}
	for i := range used {
		if s.Peek(Key{Name: fmt.Sprint(i)}) == nil {
			t.Errorf("%d was evicted", i)
		}
	}
}

// A candidate that another process uses meanwhile is not evicted, but the next one.
func TestCandidateUsedSince(t *testing.T) {
	const n = 20
	s, dir := newStore(t, n*roomFor(smallCopies).bytes)
	fill(t, s, n)
	now := time.Now()
	for i := range n {
		setUsed(t, dir, fmt.Sprint(i), now.Add(time.Duration(i-100)*time.Minute))
	}
	s = New(disk.New(dir), Limits{MaxBytes: n * roomFor(smallCopies).bytes}, clocktest.New().Clock())
	walkRounds(t, s, 1)
	for i := range n / 2 {
		setUsed(t, dir, fmt.Sprint(i), now)
	}
	for i := range n / 2 {
		if !put(t, s, fmt.Sprint("new", i), smallCopies) {
			t.Fatal("no room")
		}
	}
	for i := range n {
		if got, want := s.Peek(Key{Name: fmt.Sprint(i)}) != nil, i < n/2; got != want {
			t.Errorf("%d: there is a copy: %v, want %v", i, got, want)
		}
	}
}

// If all candidates were used since, the least recently used is evicted.
func TestAllCandidatesUsedSince(t *testing.T) {
	const n = 20
	s, dir := newStore(t, n*roomFor(smallCopies).bytes)
	fill(t, s, n)
	for i := range n {
		setUsed(t, dir, fmt.Sprint(i), time.Now().Add(time.Duration(n-i)*time.Hour))
	}
	if !put(t, s, "new", smallCopies) {
		t.Fatal("no room")
	}
	if s.Peek(Key{Name: fmt.Sprint(n - 1)}) != nil || s.evictions.Load() != 1 {
		t.Errorf("%d evictions, not of the oldest", s.evictions.Load())
	}
}

// A candidate that the disk fails to read is a fault, and another one is evicted.
func TestCandidateUnreadable(t *testing.T) {
	const n = 20
	s, d := newFullStore(t, n)
	oldest, _ := s.budget.oldest(nil)
	s.budget.offer([]victim{{candidate: oldest}})
	d.unreadable = entryPath(oldest.name)
	if !put(t, s, "new", smallCopies) {
		t.Fatal("no room")
	}
	if st := s.Stats(); st.FaultsBy["EIO"] != 1 || st.Evictions != 1 {
		t.Errorf("%d evictions, faults: %v", st.Evictions, st.FaultsBy)
	}
}

// A candidate that is replaced, damaged or removed meanwhile leaves no file behind, and
// there is room in the end.
func TestCandidateChangedSince(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir, entry string){
		"replaced by a large one": func(t *testing.T, dir, entry string) {
			put(t, New(disk.New(dir), Limits{}, clocktest.New().Clock()), "0", 2*maxSmall)
		},
		"damaged": func(t *testing.T, dir, entry string) {
			os.Remove(entry)
			os.WriteFile(entry, make([]byte, smallCopies), 0o400)
		},
		"removed": func(t *testing.T, dir, entry string) { os.Remove(entry) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 40
			s, dir := newStore(t, n*roomFor(smallCopies).bytes)
			fill(t, s, n)
			entry := filepath.Join(dir, entryDir, Key{Name: "0"}.entryName())
			change(t, dir, entry)
			hourAgo := time.Now().Add(-time.Hour)
			os.Chtimes(entry, hourAgo, hourAgo) // unless it is removed
			for i := range 2 * n {
				if !put(t, s, fmt.Sprint("new", i), smallCopies) {
					t.Fatal("no room")
				}
			}
			walkRounds(t, s, 2)
			if got := taken(t, dir); !got.fits(room{n * roomFor(smallCopies).bytes, n}) {
				t.Errorf("%v is taken", got)
			}
			if f := s.Stats(); f.Faults > 0 {
				t.Errorf("faults: %v", f.FaultsBy)
			}
		})
	}
}

// A small candidate that became large is evicted with its data file.
func TestCandidateThatBecameLarge(t *testing.T) {
	s, dir := newStore(t, 1<<30)
	put(t, s, "0", smallCopies)
	info, err := s.disk.Lstat(entryPath(Key{Name: "0"}.entryName()))
	if err != nil {
		t.Fatal(err)
	}
	c := newCandidate(Key{Name: "0"}.entryName(), info)
	put(t, New(disk.New(dir), Limits{}, clocktest.New().Clock()), "0", 2*maxSmall)
	setUsed(t, dir, "0", info.ModTime)
	if err := s.evictOne(victim{candidate: c, unread: true}); err != nil {
		t.Fatal(err)
	}
	if got := taken(t, dir); got != (room{}) {
		t.Errorf("%v is taken", got)
	}
}

// A later round counts an entry anew that another process has given another size.
func TestSizeChangedByAnotherProcess(t *testing.T) {
	const n = 2 * poolSize
	s, dir := newStore(t, 1<<30)
	fill(t, s, n)
	other := New(disk.New(dir), Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
	for i := range n {
		put(t, other, fmt.Sprint(i), maxSmall)
	}
	walkRounds(t, s, 1+refreshEvery)
	if got, want := s.budget.known.room(), taken(t, dir); got != want {
		t.Errorf("the sum is %v, the files on disk take %v", got, want)
	}
}

// The more files other processes add, the more names a step reads.
func TestStepsGrowWithOtherProcesses(t *testing.T) {
	s, dir := newStore(t, 1<<30)
	other := New(disk.New(dir), Limits{MaxBytes: 1 << 30}, clocktest.New().Clock())
	fill(t, s, 100)
	step := func() int {
		s.budget.mu.Lock()
		defer s.budget.mu.Unlock()
		return s.budget.stepSize()
	}
	if n := step(); n != minStep {
		t.Errorf("alone: %d names", n)
	}
	added := 0
	add := func(s *Store, n int) {
		for range n {
			added++
			put(t, s, fmt.Sprint("added", added), smallCopies)
		}
	}
	for range 8 {
		add(s, 10)
		add(other, 40)
		walkRounds(t, s, 1)
	}
	if n := step(); n < minStep+24 || n > minStep+40 {
		t.Errorf("beside others that add four times as much: %d names", n)
	}
	add(other, 2000)
	walkRounds(t, s, 2)
	if n := step(); n != maxStep {
		t.Errorf("beside others that add very much: %d names", n)
	}
	for range 16 {
		add(s, 10)
		walkRounds(t, s, 1)
	}
	if n := step(); n != minStep {
		t.Errorf("alone again: %d names", n)
	}
}

// A manifest is evicted together with its tree.
func TestEvictionOfATree(t *testing.T) {
	const n = 20
	s, dir := newStore(t, (n+8)*roomFor(smallCopies).bytes)
	fill(t, s, n)
	e, _, err := s.readKey(Key{Name: "0"})
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, treePath(treeName(entryOf(e.data), room{8 * roomFor(smallCopies).bytes, 2}, e.whole)))
	if err := os.MkdirAll(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	setUsed(t, dir, "0", time.Now().Add(-time.Hour))
	s = New(disk.New(dir), Limits{MaxBytes: s.budget.max}, clocktest.New().Clock())
	walkRounds(t, s, 1)
	if !put(t, s, "new", smallCopies) {
		t.Fatal("no room")
	}
	if _, err := os.Stat(tree); err == nil || s.evictions.Load() != 1 {
		t.Errorf("%d evictions, the tree: %v", s.evictions.Load(), err)
	}
}

// Processes that all add files, from an empty directory on, do not exceed the limit by
// much.
func TestLimitOfManyProcesses(t *testing.T) {
	const n, processes = 800, 8
	first, dir := newStore(t, n*roomFor(smallCopies).bytes)
	stores := []*Store{first}
	for len(stores) < processes {
		stores = append(stores, New(disk.New(dir), Limits{MaxBytes: first.budget.max}, clocktest.New().Clock()))
	}
	most := 0
	for i := range 3 * n {
		if !put(t, stores[i%processes], fmt.Sprint(i), smallCopies) {
			t.Fatal("no room")
		}
		if i%processes == 0 {
			most = max(most, int(taken(t, dir).files))
		}
	}
	t.Logf("%d processes used at most %d %% of the limit", processes, 100*most/n)
	if most > n*13/10 {
		t.Errorf("%d copies at once, the limit is %d", most, n)
	}
}
