package store

import (
	"testing"

	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

func TestDefaultBudget(t *testing.T) {
	for _, tt := range []struct {
		name  string
		space disk.Space
		max   int64
		want  int64
		keep  int64
		left  int64 // of the container's memory
	}{
		{"Lambda, 512 MB", disk.Space{Total: 525 << 20, Free: 513 << 20}, 0, 513 << 20 / 4 * 3, 0, 0},
		{"nearly full", disk.Space{Total: 500 << 20, Free: 30 << 20}, 0, 5 << 20, 0, 0},
		{"memory", disk.Space{Total: 1 << 30, Free: 1 << 30, Memory: true}, 0, 256 << 20, 0, 0},
		{"large disk", disk.Space{Total: 1 << 40, Free: 1 << 39}, 0, 8 << 30, 0, 0},
		{"an explicit MaxBytes leaves room to the function too", disk.Space{Total: 500 << 20, Free: 30 << 20}, 1 << 40, 5 << 20, 0, 0},
	} {
		b := budget{max: tt.max, keep: tt.keep, clock: clock.New()}
		b.memory = &cgroup.Memory{Left: func() (int64, bool) { return tt.left, tt.left > 0 }}
		if got := b.limit(room{}, tt.space); got.bytes != tt.want || got.files < 1<<40 {
			t.Errorf("%s: %d MiB, want %d MiB", tt.name, got.bytes>>20, tt.want>>20)
		}
	}
}
