package filecache

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// shelf is a Bucket of origins that can be listed.
type shelf map[string]*origin

func newShelf(names ...string) shelf {
	s := shelf{}
	for i, name := range names {
		o := newOrigin(0)
		o.name = name
		o.put(randomBytes(1000+i, uint64(i)))
		s[name] = o
	}
	return s
}

func (s shelf) Object(name string) Object {
	if o := s[name]; o != nil {
		return o
	}
	o := newOrigin(0)
	o.name, o.err = name, fs.ErrNotExist
	return o
}

func (s shelf) List(_ context.Context, dir string) ([]Listed, error) {
	if dir != "" {
		dir += "/"
	}
	var list []Listed
	for name, o := range s {
		rest, ok := strings.CutPrefix(name, dir)
		if !ok {
			continue
		}
		if first, _, deeper := strings.Cut(rest, "/"); deeper {
			list = append(list, Listed{Name: first, Dir: true})
		} else {
			list = append(list, Listed{Name: rest, Size: int64(len(o.body)), Modified: o.modified})
		}
	}
	return list, nil
}

func TestFS(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	s := newShelf("a.txt", "dir/b.txt", "dir/deep/er/c.txt", "z")
	fsys := c.FS(background, s)
	if err := fstest.TestFS(fsys, "a.txt", "dir/b.txt", "dir/deep/er/c.txt", "z"); err != nil {
		t.Error(err)
	}
	for name, o := range s {
		if b, err := fs.ReadFile(fsys, name); err != nil || string(b) != string(o.body) {
			t.Errorf("ReadFile(%s): %v", name, err)
		}
		if n := o.requests(); n != 1 {
			t.Errorf("%s: %d requests", name, n)
		}
	}
	if m, err := fs.Glob(fsys, "dir/*.txt"); err != nil || len(m) != 1 {
		t.Errorf("Glob = %v, %v", m, err)
	}
}

// Keys that are not valid paths, or that hide each other, do no harm.
func TestFSOfOddKeys(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	fsys := c.FS(background, newShelf("a", "a/b", "a//c", "d/", "/e", "../f", "g/../h", "i"))
	if err := fstest.TestFS(fsys, "a", "i"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "/a", "a/", "../f", "a//c"} {
		if _, err := fsys.Open(name); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("Open(%q) = %v", name, err)
		}
	}
}

func TestFSErrors(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	s := newShelf("a")
	fsys := c.FS(background, s)
	for name, do := range map[string]func(string) error{
		"Open":     func(n string) error { _, err := fsys.Open(n); return err },
		"ReadFile": func(n string) error { _, err := fs.ReadFile(fsys, n); return err },
		"Stat":     func(n string) error { _, err := fs.Stat(fsys, n); return err },
		"ReadDir":  func(n string) error { _, err := fs.ReadDir(fsys, n); return err },
	} {
		var pe *fs.PathError
		if err := do("missing"); !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &pe) || pe.Path != "missing" {
			t.Errorf("%s = %v", name, err)
		}
	}
	s["a"].err = errOrigin
	if _, err := fs.ReadFile(fsys, "a"); !errors.Is(err, errOrigin) {
		t.Errorf("ReadFile = %v", err)
	}
}

type unlisted struct{ shelf }

func (unlisted) List() {} // not the List of a Lister

func TestFSWithoutAList(t *testing.T) {
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	fsys := c.FS(background, unlisted{newShelf("dir/a")})
	if b, err := fs.ReadFile(fsys, "dir/a"); err != nil || len(b) != 1000 {
		t.Errorf("ReadFile: %v", err)
	}
	if _, err := fs.ReadDir(fsys, "dir"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("ReadDir = %v", err)
	}
}
