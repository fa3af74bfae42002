package filecache

import (
	"os"
	"testing"
	"time"
)

// A program may leave files beside a path and read them the next time, as SQLite does
// with a journal: its changes would then appear in the object. In that case Path
// returns another copy.
func TestPathWithAFileBesideIt(t *testing.T) {
	for _, suffix := range []string{"-wal", "-journal", "-shm"} {
		c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(1000)
		path, release, err := c.Path(background, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+suffix, []byte("a row of another customer"), 0o600); err != nil {
			t.Fatal(err)
		}
		release()
		for _, c := range []*testCache{c, c.restart(nil)} {
			again, release, err := c.Path(background, o)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Lstat(again + suffix); err == nil || again == path {
				t.Errorf("%s: Path = %s, which has a file of another program beside it", suffix, again)
			}
			release()
		}
		if n := o.requests(); n != 2 {
			t.Errorf("%s: %d requests, want one more download", suffix, n)
		}
	}
}
