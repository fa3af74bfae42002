package filecache

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/disk/disktest"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// Another user can write to the parent of the private directory. That user makes the
// private directory beforehand and replaces it with links into the victim's home
// between any two system calls. No file there is touched, and the victim gets the right
// bytes.
func TestAttackedByAnotherUser(t *testing.T) {
	const size = 100_000
	files := []string{
		strings.Repeat("ab", 32), // the form of an entry's name
		store.TestDataName(strings.Repeat("ab", 32), 2, 3), store.TestDataName(strings.Repeat("cd", 32), 100<<30, 5),
		".tmp-1-2", "turns",
	}
	name := filepath.Base(store.DefaultPath(t.TempDir()))
	s := disktest.NewScene(t, name, []string{"e", "d", "s", "turns.d"}, files)
	objs := objects(4, size)
	var c *Cache
	refused, used := false, false
	for i := 0; !s.Over(refused && used); i++ {
		if i%20 == 0 { // a new process
			c = Must(New(Options{Dir: s.Dir, MaxAge: time.Millisecond, MaxBytes: 5 * onDisk(size) / 2}))
		}
		o := objs[i%len(objs)]
		switch i % 7 {
		case 3:
			if path, release, err := c.Path(background, o); err == nil {
				// By now the attacker controls the path; the call itself must still touch
				// nothing.
				if !strings.HasPrefix(path, s.Dir) {
					t.Errorf("Path = %s", path)
				}
				release()
			}
		case 4:
			if _, remove, err := c.Scratch(); err == nil {
				remove()
			}
		case 5:
			c.Forget(o)
		case 6:
			c.Clear()
		}
		if b, err := c.ReadFile(background, o); err != nil || !bytes.Equal(b, o.body) {
			t.Fatalf("wrong bytes, or %v", err)
		}
		st := c.Stats()
		refused = refused || st.Refused != ""
		used = used || st.DiskBytes > 0
	}
	s.WantUntouched(t)
	if !refused || !used {
		t.Errorf("the attack is void: refused %v, used %v", refused, used)
	}
}
