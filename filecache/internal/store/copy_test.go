package store

import (
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/disk"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// Blocks verified within the racy window are verified again.
func TestRacyWindow(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		holds bool
	}{{0, false}, {19 * time.Millisecond, false}, {20 * time.Millisecond, true}} {
		id := disk.FileID{Ctime: 1000}
		c := &Copy{entry: &entry{}, fileID: id, checked: blocks.NewSet(1, 1000+int64(tt.after))}
		if c.holds(id) != tt.holds {
			t.Errorf("verified %v after the change: holds %v", tt.after, !tt.holds)
		}
	}
}
