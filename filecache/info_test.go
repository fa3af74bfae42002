package filecache

import (
	"context"
	"testing"
	"time"
)

// tagged is an origin that chooses the ETag of its answers.
type tagged struct {
	*origin
	tag string
}

func (o tagged) Fetch(ctx context.Context, req Request) (*Response, error) {
	req.IfMatch, req.IfNoneMatch = "", ""
	resp, err := o.origin.Fetch(ctx, req)
	if err == nil {
		resp.ETag = o.tag
	}
	return resp, err
}

func versionOf(t *testing.T, c *testCache, obj Object) string {
	t.Helper()
	f, err := c.Open(background, obj)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Version()
}

// Two versions with the same size and modification time differ. One version is the same
// from disk, from memory, and in another process.
func TestVersion(t *testing.T) {
	a, b := randomBytes(1000, 1), randomBytes(1000, 2)
	for _, tt := range []struct {
		name       string
		tagA, tagB string
		pinA, pinB string
	}{
		{"strong ETags", `"a"`, `"b"`, "", ""},
		{"weak ETags", `W/"same"`, `W/"same"`, "", ""},
		{"no ETags", "", "", "", ""},
		{"pinned", `"same"`, `"same"`, "1", "2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			first, second := tagged{newOrigin(0), tt.tagA}, tagged{newOrigin(0), tt.tagB}
			first.put(a)
			second.put(b)
			first.version, second.version = tt.pinA, tt.pinB
			c := newTest(t, Options{MaxAge: time.Minute}, nil)
			v := versionOf(t, c, first)
			if again := versionOf(t, c, first); again != v {
				t.Errorf("%q, then %q from the local copy", v, again)
			}
			if other := versionOf(t, c.restart(nil), first); other != v {
				t.Errorf("%q, but %q in another process", v, other)
			}
			if other := versionOf(t, newTest(t, Options{}, &faultyDisk{from: 1}), first); other != v {
				t.Errorf("%q, but %q without a disk", v, other)
			}
			if other := versionOf(t, newTest(t, Options{}, nil), second); other == v {
				t.Errorf("%q for both versions", v)
			}
		})
	}
}

func TestVersionOfAnObjectThatIsReadByRanges(t *testing.T) {
	o := newOrigin(maxInMemory + 1)
	want := versionOf(t, newTest(t, Options{}, nil), o)
	c := newTest(t, Options{}, &faultyDisk{from: 1})
	if got := versionOf(t, c, o); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestInfo(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Minute}, nil), newOrigin(100)
	for range 2 {
		f, err := c.Open(background, o)
		if err != nil {
			t.Fatal(err)
		}
		fi, _ := f.Stat()
		info, ok := fi.Sys().(*Info)
		if id, _ := o.ID(); !ok || info.ID != id || info.ETag != o.etag || info.Version != f.Version() || !info.Modified.Equal(o.modified) {
			t.Errorf("Sys = %+v", fi.Sys())
		}
		f.Close()
	}
}
