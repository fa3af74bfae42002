package store

import (
	"testing"

	"github.com/warmcache/warmcache/internal/disk"
)

// spaceDisk is on a file system of that size.
type spaceDisk struct {
	disk.FS
	space disk.Space
}

func (d spaceDisk) Space() (disk.Space, error) { return d.space, nil }

func TestDefaultBudget(t *testing.T) {
	for _, tt := range []struct {
		name  string
		space disk.Space
		max   int64
		want  int64
	}{
		{"Lambda, 512 MB", disk.Space{Total: 525 << 20, Free: 513 << 20}, 0, 513 << 20 / 4 * 3},
		{"nearly full", disk.Space{Total: 500 << 20, Free: 30 << 20}, 0, 5 << 20},
		{"memory", disk.Space{Total: 1 << 30, Free: 1 << 30, Memory: true}, 0, 256 << 20},
		{"large disk", disk.Space{Total: 1 << 40, Free: 1 << 39}, 0, 8 << 30},
		{"an explicit MaxBytes leaves room to the function too", disk.Space{Total: 500 << 20, Free: 30 << 20}, 1 << 40, 5 << 20},
	} {
		b := budget{max: tt.max, disk: spaceDisk{space: tt.space}}
		if got := b.limit(); got != tt.want {
			t.Errorf("%s: %d MiB, want %d MiB", tt.name, got>>20, tt.want>>20)
		}
	}
}
