package filecache

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// zipped is an archive that is read in place.
type zipped struct {
	*zip.Reader
	path string
}

func openZip(ctx context.Context, f *File) (*zipped, error) {
	path, err := f.Path()
	if err != nil && !errors.Is(err, ErrNoDisk) {
		return nil, err
	}
	r, err := zip.NewReader(f, f.Size())
	return &zipped{r, path}, err
}

func zipOf(t *testing.T, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, body := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		f.Write(body)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A value with Close may read its file until Close returns: after Parse has returned,
// after a newer version has replaced it and the copy is removed, and with damage.
func TestValueKeepsItsFile(t *testing.T) {
	for _, disk := range []fakeDisk{nil, &faultyDisk{from: 1}} {
		c, o := newTest(t, Options{MaxAge: time.Minute}, disk), newOrigin(0)
		body := randomBytes(3*blocks.MinSize, 1)
		o.put(zipOf(t, map[string][]byte{"dir/a": body}))
		v := NewValueWith(c.Cache, o, ValueOptions[*zipped]{Parse: openZip, Close: func(*zipped) error { return nil }})
		ctx, cancel := context.WithCancel(background)
		z, release, err := v.Acquire(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if disk == nil {
			if b, err := os.ReadFile(z.path); err != nil || !bytes.Equal(b, o.body) {
				t.Errorf("the file at the path: %v", err)
			}
		}
		o.put(zipOf(t, map[string][]byte{"b": nil}))
		c.clocks.Move(time.Minute, time.Minute)
		newer, releaseNewer, err := v.Acquire(background)
		if err != nil || newer == z {
			t.Fatalf("Acquire: the same value, or %v", err)
		}
		if b, err := fs.ReadFile(z, "dir/a"); err != nil || !bytes.Equal(b, body) {
			t.Errorf("the replaced value: %v", err)
		}
		release()
		releaseNewer()
		v.Close()
		if u := c.usage(); u.Files != 0 || u.Open != 0 {
			t.Errorf("files are still open: %+v", u)
		}
		if c.heldMemory() != 0 {
			t.Errorf("%d bytes are still held", c.heldMemory())
		}
	}
}

// A corrupt block that a value reads is repaired, even though the Get that parsed it
// has returned.
func TestValueReadsADamagedFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	c.want(o)
	c = c.restart(nil)
	v := NewValueWith(c.Cache, o, ValueOptions[*File]{
		Parse: func(ctx context.Context, f *File) (*File, error) { return f, nil },
		Close: func(*File) error { return nil },
	})
	ctx, cancel := context.WithCancel(background)
	f, release, err := v.Acquire(ctx)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	defer release()
	path := c.only(c.dataFiles())
	os.Chmod(path, 0o600)
	if err := os.WriteFile(path, make([]byte, someSize), 0o600); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if _, err := f.ReadAt(b, 1000); err != nil || !bytes.Equal(b, o.body[1000:1100]) {
		t.Errorf("ReadAt: %v", err)
	}
}

// A copy found corrupt when Parse calls Path is fetched again.
func TestPathOfADamagedFileInParse(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(someSize)
	c.want(o)
	c = c.restart(nil)
	path := c.only(c.dataFiles())
	os.Chmod(path, 0o600)
	if err := os.WriteFile(path, make([]byte, someSize), 0o600); err != nil {
		t.Fatal(err)
	}
	v := NewValue(c.Cache, o, func(ctx context.Context, f *File) (string, error) {
		p, err := f.Path()
		if err != nil {
			return "", err
		}
		b, err := os.ReadFile(p)
		return string(b), err
	})
	wantValue(t, v, string(o.body))
	if s := v.Stats(); s.Parses != 2 || s.Failures != 1 {
		t.Errorf("Stats = %+v", s)
	}
}

func TestPathOfAFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := f.Path(); err != nil || path != c.only(c.dataFiles()) {
		t.Errorf("Path = %s, %v", path, err)
	}
	f.Close()
	if _, err := f.Path(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Path after Close: %v", err)
	}
	f, err = newTest(t, Options{}, &faultyDisk{from: 1}).Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Path(); !errors.Is(err, ErrNoDisk) {
		t.Errorf("Path without a disk: %v", err)
	}
}
