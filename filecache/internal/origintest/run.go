package origintest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/filecache"
)

// A Source returns the object at Path of the server at url.
type Source func(t *testing.T, url string) filecache.Object

// Run reads an object while its origin misbehaves, with and without a local copy of the
// previous version. Each read must return the right bytes or an error. The copy must be
// dropped only if the origin says that the object does not exist.
func Run(t *testing.T, source Source) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			for _, size := range []int{100, large} {
				for _, copied := range []bool{false, true} {
					t.Run(fmt.Sprintf("size=%d,copied=%v", size, copied), func(t *testing.T) {
						newTrial(t, source, size, copied).run(f)
					})
				}
			}
		})
	}
}

// large is more than two blocks, so that the object is downloaded in parts if possible.
const large = 600_000

// trial is one object with its origin and a cache.
type trial struct {
	t        *testing.T
	server   *Server
	object   filecache.Object
	files    *filecache.Cache
	old, new []byte
	copied   bool
}

func newTrial(t *testing.T, source Source, size int, copied bool) *trial {
	t.Helper()
	x := &trial{t: t, server: newServer(t), copied: copied, old: content(size, 1), new: content(size, 2)}
	x.object = source(t, x.server.URL)
	x.files = filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir(), PartSize: 1, Concurrency: 3}))
	x.server.put(x.old)
	if copied {
		x.want(x.old)
	}
	x.server.put(x.new)
	return x
}

func content(size int, seed byte) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (x *trial) run(f fault) {
	ctx, cancel := context.WithCancelCause(x.t.Context())
	defer cancel(nil)
	x.server.misbehave(f.spoil(x.server, cancel))
	if f.within > 0 {
		timed, stop := context.WithTimeout(ctx, f.within)
		defer stop()
		ctx = timed
	}
	b, err := x.files.ReadFile(ctx, x.object)
	x.server.misbehave(nil)
	if want := x.server.present(); err == nil && !bytes.Equal(b, want) && !(f.want.cut && bytes.HasPrefix(want, b)) {
		x.t.Fatalf("ReadFile returned %d wrong bytes", len(b))
	}
	if msg := f.want.differs(err); msg != "" {
		x.t.Errorf("ReadFile = %d bytes, %v: %s", len(b), err, msg)
	}
	if err != nil && errors.Is(err, fs.ErrNotExist) != f.want.gone {
		x.t.Errorf("the error matches fs.ErrNotExist: %v, want %v", !f.want.gone, f.want.gone)
	}
	x.wantAfter(err, f.want)
}

// wantAfter checks the cache after the origin has recovered.
func (x *trial) wantAfter(err error, want outcome) {
	x.t.Helper()
	before := x.files.Stats()
	kept := err == nil || x.copied && !want.gone
	if want.uncached {
		x.server.put(x.old)
		kept = x.copied
	}
	if err != nil {
		x.server.put(x.old) // the version of the copy, if there is one
	}
	x.want(x.server.present())
	after := x.files.Stats()
	// The next read revalidates a copy. (Misses would be unreliable: an abandoned
	// download may be counted late.)
	if confirmed := after.Revalidated == before.Revalidated+1; confirmed != kept {
		x.t.Errorf("a copy was revalidated: %v, want %v: %+v, then %+v", confirmed, kept, before, after)
	}
	if after.Faults != 0 {
		x.t.Errorf("the disk failed %d times", after.Faults)
	}
}

func (x *trial) want(want []byte) {
	x.t.Helper()
	if b, err := x.files.ReadFile(x.t.Context(), x.object); err != nil || !bytes.Equal(b, want) {
		x.t.Fatalf("ReadFile from the recovered origin returned %d bytes, %v", len(b), err)
	}
}

// outcome is the expected result of a fault. The zero outcome is the right bytes.
type outcome struct {
	fails bool
	is    error  // the error matches it
	says  string // the error contains it
	gone  bool   // the error matches fs.ErrNotExist, and the copy is dropped

	uncached bool // the bytes are not cached, and an existing copy stays
	cut      bool // the bytes may be truncated
}

// differs describes the difference between err and o, or returns "".
func (o outcome) differs(err error) string {
	switch {
	case err == nil && o.fails:
		return "want an error"
	case err != nil && !o.fails:
		return "want the right bytes"
	case o.is != nil && !errors.Is(err, o.is):
		return fmt.Sprintf("want an error that matches %v", o.is)
	case o.fails && !strings.Contains(err.Error(), o.says):
		return fmt.Sprintf("want an error with %q", o.says)
	}
	return ""
}

// RunBrokenConnections cuts the first answer, or each answer, after each of its bytes.
// Later answers are right. A cut within the header may cause an error, unless the source
// retries and the next answer is complete.
func RunBrokenConnections(t *testing.T, source Source, retries bool) {
	for name, end := range map[string]ending{"closed": closed, "reset": reset} {
		for _, always := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,always=%v", name, always), func(t *testing.T) {
				runBroken(t, source, end, always, retries)
			})
		}
	}
}

func runBroken(t *testing.T, source Source, end ending, always, retries bool) {
	const size = 40
	x := newTrial(t, source, size, true)
	wire := len(right(request(), x.new).bytes())
	for cut := 1; cut < wire; cut++ {
		x.server.misbehave(func(n int, _ *http.Request, a *answer) {
			if n == 1 || always {
				a.cut, a.end = cut, end
			}
		})
		b, err := x.files.ReadFile(t.Context(), x.object)
		x.server.misbehave(nil)
		switch {
		case err == nil && !bytes.Equal(b, x.new):
			t.Fatalf("cut at byte %d of %d: wrong bytes", cut, wire)
		case err == nil && cut < wire-size && (always || !retries):
			t.Errorf("cut at byte %d of %d: an answer without a header was accepted", cut, wire)
		case err != nil && retries && !always:
			t.Errorf("cut at byte %d of %d: %v, want another attempt", cut, wire, err)
		case err != nil && !always && cut > wire-size && end == closed:
			t.Errorf("cut at byte %d of %d: %v, want a request for the rest", cut, wire, err)
		case err != nil && errors.Is(err, fs.ErrNotExist):
			t.Errorf("cut at byte %d of %d: %v", cut, wire, err)
		}
		x.back(t, cut, err)
	}
}

// back restores the copy of the old version, and checks that a failed download did not
// drop it.
func (x *trial) back(t *testing.T, cut int, err error) {
	t.Helper()
	misses := x.files.Stats().Misses
	x.server.put(x.old)
	x.want(x.old)
	if n := x.files.Stats().Misses; err != nil && n != misses {
		t.Errorf("cut at byte %d: the copy was dropped", cut)
	}
	x.server.put(x.new)
}

func request() *http.Request { return &http.Request{Header: http.Header{}} }
