package filecache

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/flight"
)

// numbered is an origin with numbered versions. It fails now and then.
type numbered struct {
	*origin

	mu       sync.Mutex
	replaced []time.Time // when each version was replaced
}

func newNumbered() *numbered {
	n := &numbered{origin: newOrigin(0)}
	n.put(numberedBody(0))
	return n
}

func numberedBody(version int) []byte {
	size := blocks.MinSize*(version%3) + 1000
	return bytes.Repeat(binary.BigEndian.AppendUint64(nil, uint64(version)), size/8)
}

func (n *numbered) Fetch(ctx context.Context, req Request) (*Response, error) {
	if rand.IntN(10) == 0 {
		return nil, errOrigin
	}
	return n.origin.Fetch(ctx, req)
}

// next puts the next version.
func (n *numbered) next() (version int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	version = len(n.replaced) + 1
	n.put(numberedBody(version))
	n.replaced = append(n.replaced, time.Now())
	return version
}

// currentSince reports whether version was current at some time after t.
func (n *numbered) currentSince(version int, t time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return version == len(n.replaced) || version < len(n.replaced) && n.replaced[version].After(t)
}

// tracked is a parsed version that must be closed.
type tracked struct {
	version int
	closed  atomic.Bool
}

var errPoison = errors.New("poison")

// valueHammer is one of several processes that use an object's Value.
type valueHammer struct {
	t            *testing.T
	origin       *numbered
	cache        *Cache
	value        *Value[*tracked]
	open         atomic.Int64 // not closed yet
	forgotten    atomic.Int64 // the version that was current before the last Forget returned
	good, failed atomic.Int64
}

func newValueHammer(t *testing.T, o *numbered, opts Options) *valueHammer {
	h := &valueHammer{t: t, origin: o, cache: Must(New(opts))}
	h.value = NewValueWith(h.cache, o, ValueOptions[*tracked]{Parse: h.parse, Close: h.close})
	return h
}

// parse is slow, fails or panics now and then.
func (h *valueHammer) parse(ctx context.Context, f *File) (*tracked, error) {
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	version := int(binary.BigEndian.Uint64(b))
	if !bytes.Equal(b, numberedBody(version)) {
		h.t.Errorf("wrong bytes of version %d", version)
	}
	switch rand.IntN(8) {
	case 0:
		return nil, errPoison
	case 1:
		panic(errPoison)
	case 2:
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
	}
	h.open.Add(1)
	return &tracked{version: version}, nil
}

func (h *valueHammer) close(r *tracked) error {
	if r.closed.Swap(true) {
		h.t.Errorf("version %d is closed twice", r.version)
	}
	h.open.Add(-1)
	return nil
}

// get checks one Acquire. It recovers the panics of parse.
func (h *valueHammer) get(maxAge time.Duration) {
	ctx, cancel := context.Background(), context.CancelFunc(func() {})
	if rand.IntN(4) > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(rand.IntN(3000))*time.Microsecond)
	}
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			if p, ok := r.(*flight.PanicError); !ok || p.Value != errPoison {
				panic(r)
			}
		}
	}()
	forgotten, start := h.forgotten.Load(), time.Now()
	r, release, err := h.value.Acquire(ctx)
	if err != nil {
		h.failed.Add(1)
		var pe *fs.PathError
		deadline, ok := ctx.Deadline()
		if !errors.As(err, &pe) && err != errPoison && !(ok && time.Now().After(deadline)) {
			h.t.Errorf("Acquire: %v", err)
		}
		return
	}
	defer release()
	h.good.Add(1)
	if int64(r.version) < forgotten {
		h.t.Errorf("version %d after Forget had returned while %d was current", r.version, forgotten)
	}
	if !h.origin.currentSince(r.version, start.Add(-maxAge)) {
		h.t.Errorf("version %d is older than MaxAge", r.version)
	}
	if rand.IntN(10) == 0 {
		time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
	}
	if r.closed.Load() {
		h.t.Errorf("version %d was closed while it was used", r.version)
	}
}

// sawBoth reports whether values and errors were returned.
func (h *valueHammer) sawBoth() bool { return h.good.Load() > 0 && h.failed.Load() > 0 }

// forget puts a version and forgets the earlier ones.
func (h *valueHammer) forget() {
	version := int64(h.origin.next())
	if rand.IntN(8) == 0 {
		h.cache.Clear()
	} else if err := h.cache.Forget(h.origin); err != nil {
		h.t.Error(err)
	}
	for old := h.forgotten.Load(); old < version && !h.forgotten.CompareAndSwap(old, version); old = h.forgotten.Load() {
	}
}

// damageFiles replaces each data file by one that differs in a byte. Open files stay
// unchanged: a File does not verify a block twice.
func damageFiles(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "*", "d", "*-*-*"))
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil || len(b) == 0 {
			continue
		}
		b[rand.IntN(len(b))] ^= 0x40
		damaged := filepath.Join(dir, "damaged")
		if os.WriteFile(damaged, b, 0o600) == nil {
			os.Rename(damaged, path)
		}
	}
}

// Two processes use the Value of an object that is replaced, forgotten and damaged all
// the time, with a Parse that is slow, fails and panics. No Get returns a value older
// than MaxAge or a Forget, no value is used after it was closed, and all are closed.
func TestValueHammer(t *testing.T) {
	for _, maxAge := range []time.Duration{0, 5 * time.Millisecond, Immutable} {
		t.Run(fmt.Sprint(maxAge), func(t *testing.T) {
			dir, o, past := t.TempDir(), newNumbered(), maxAge
			if maxAge == Immutable {
				past = time.Hour
			}
			var wg sync.WaitGroup
			var hs []*valueHammer
			for range 2 {
				hs = append(hs, newValueHammer(t, o, Options{Dir: dir, MaxAge: maxAge}))
			}
			for _, h := range hs {
				var over atomic.Bool
				for range 4 {
					wg.Go(func() {
						for i := 0; i < 60 || !over.Load(); i++ {
							h.get(past)
						}
					})
				}
				wg.Go(func() {
					defer over.Store(true)
					for i := 0; i < 30 || !h.sawBoth() && i < 100_000; i++ {
						h.forget()
						if i%4 == 0 {
							damageFiles(dir)
						}
						time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
					}
				})
			}
			wg.Wait()
			for _, h := range hs {
				h.value.Close()
				waitFor(t, func() bool { return h.open.Load() == 0 }) // an abandoned Parse may still run
				if !h.sawBoth() {
					t.Errorf("%d values, %d errors: this tests nothing", h.good.Load(), h.failed.Load())
				}
			}
		})
	}
}

// waitFor waits for a condition that goroutines satisfy without a signal.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("it does not come about")
			return
		}
	}
}
