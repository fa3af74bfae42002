package reuse

import (
	"sync"
	"testing"
	"time"
)

func TestNumberAgeAndGap(t *testing.T) {
	r, clocks := newTestRecorder(t)
	move(clocks, 2*time.Second) // in the init, and after
	if i := r.Begin(); i.Start != Cold || i.Number != 1 || i.Age != 2*time.Second || i.Gap != 0 || i.Thawed() {
		t.Errorf("%+v", i)
	}
	move(clocks, 3*time.Second)
	if i := r.Begin(); i.Start != Warm || i.Number != 2 || i.Age != 5*time.Second || i.Gap != 3*time.Second || i.Thawed() {
		t.Errorf("%+v", i)
	}
	move(clocks, time.Second)
	if i := r.Begin(); i.Start != Warm || i.Number != 3 || i.Age != 6*time.Second || i.Gap != time.Second {
		t.Errorf("%+v", i)
	}
}

func TestClocksApart(t *testing.T) {
	for _, tt := range []struct {
		name               string
		wall, mono         time.Duration
		wantGap, wantPause time.Duration
	}{
		{"machine paused", time.Hour, time.Second, time.Hour, time.Hour - time.Second},
		{"wall clock set back", -time.Hour, time.Second, time.Second, 0},
		{"both stand still", 0, 0, 0, 0},
		{"both back", -time.Second, -time.Second, 0, 0},
		{"wall clock steered", time.Hour + 1800*time.Millisecond, time.Hour, time.Hour + 1800*time.Millisecond, 0},
		{"coarse clocks", 80 * time.Millisecond, 0, 80 * time.Millisecond, 0},
		{"short pause", 200 * time.Millisecond, 10 * time.Millisecond, 200 * time.Millisecond, 190 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, clocks := newTestRecorder(t)
			r.Begin()
			clocks.Move(tt.wall, tt.mono)
			i := r.Begin()
			if i.Gap != tt.wantGap || i.Age != tt.wantGap || i.Pause != tt.wantPause || i.Thawed() != (tt.wantPause > 0) {
				t.Errorf("gap %v, age %v, pause %v", i.Gap, i.Age, i.Pause)
			}
			move(clocks, time.Second)
			if i := r.Begin(); i.Thawed() {
				t.Error("still thawed")
			}
		})
	}
}

func TestConcurrentBegins(t *testing.T) {
	inNewContainer(t)
	r := New()
	const n = 50
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[int64]Start{}
	)
	for range n {
		wg.Go(func() {
			i := r.Begin()
			mu.Lock()
			defer mu.Unlock()
			seen[i.Number] = i.Start
		})
	}
	wg.Wait()
	if len(seen) != n || seen[1] != Cold {
		t.Errorf("%d different numbers, the first %v", len(seen), seen[1])
	}
	for number, start := range seen {
		if number > 1 && start != Warm {
			t.Errorf("%d: %v", number, start)
		}
	}
}

func TestBeginDoesNotAllocate(t *testing.T) {
	inNewContainer(t)
	r := New()
	r.Begin()
	if n := testing.AllocsPerRun(100, func() { r.Begin() }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStartString(t *testing.T) {
	for s, want := range map[Start]string{Unknown: "unknown", Cold: "cold", Restarted: "restarted", Warm: "warm", 9: "Start(9)"} {
		if got := s.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func BenchmarkBegin(b *testing.B) {
	b.Setenv("TMPDIR", b.TempDir())
	r := New()
	r.Begin()
	b.ReportAllocs()
	for b.Loop() {
		r.Begin()
	}
}
