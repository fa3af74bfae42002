package filecache

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
)

// openRemote opens an object that fits neither on disk nor in memory, and returns the
// number of bytes fetched by Open.
func openRemote(t *testing.T, o *origin, obj Object) (*testCache, *File, int64) {
	t.Helper()
	c := newTest(t, Options{MaxBytes: 1}, nil)
	f, err := c.Open(background, obj)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, ok := f.bytes.(*remote); !ok {
		t.Fatal("it found room")
	}
	o.requests()
	return c, f, c.Stats().OriginBytes
}

// Reading some entries of an archive without room fetches little more than those
// entries.
func TestZipEntriesWithoutRoom(t *testing.T) {
	const entries, size = 20, 2 << 20
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for i := range 4 * entries {
		e, err := w.CreateHeader(&zip.FileHeader{Name: fmt.Sprint(i), Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		e.Write(randomBytes(size, uint64(i)))
	}
	w.Close()
	o := newOrigin(0)
	o.put(archive.Bytes())
	c, f, before := openRemote(t, o, o)
	z, err := zip.NewReader(f, f.Size())
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		e, err := z.File[(i*7)%(4*entries)].Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(e)
		if err != nil || !bytes.Equal(b, randomBytes(size, uint64((i*7)%(4*entries)))) {
			t.Errorf("entry %d: %d bytes, %v", i, len(b), err)
		}
	}
	n := c.Stats().OriginBytes - before
	t.Logf("%d MiB for %d MiB, %d requests", n>>20, entries*size>>20, o.requests())
	if n > entries*size*3/2 {
		t.Errorf("%d MiB were fetched for %d MiB", n>>20, entries*size>>20)
	}
}

// Reads at different offsets do not wait for each other.
func TestRemoteReadsAreParallel(t *testing.T) {
	const readers = 8
	o := newOrigin(maxInMemory + 1)
	arrived := make(chan struct{}, readers)
	all := make(chan struct{})
	meet := &meeting{origin: o, arrived: arrived, all: all}
	_, f, _ := openRemote(t, o, meet)
	go func() {
		for range readers {
			<-arrived
		}
		close(all)
	}()
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			p, off := make([]byte, 1000), int64(i)*(4<<20)
			if _, err := f.ReadAt(p, off); err != nil || !bytes.Equal(p, o.body[off:off+1000]) {
				t.Errorf("ReadAt(%d): %v", off, err)
			}
		})
	}
	wg.Wait()
}

// meeting answers range requests once all have arrived.
type meeting struct {
	*origin
	arrived, all chan struct{}
}

func (m *meeting) Fetch(ctx context.Context, req Request) (*Response, error) {
	if isRange(req) {
		m.arrived <- struct{}{}
		<-m.all
	}
	return m.origin.Fetch(ctx, req)
}

// In every way of reading, a remote file returns the object's bytes in bounded memory.
func TestRemoteReadsAtRandom(t *testing.T) {
	o := newOrigin(maxInMemory + 777)
	c, f, _ := openRemote(t, o, o)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			at := random.Int64N(f.Size())
			for range 200 {
				if random.IntN(5) == 0 {
					at = random.Int64N(f.Size())
				}
				p := make([]byte, 1+random.IntN(300<<10))
				n, err := f.ReadAt(p, at)
				if want := o.body[at:min(f.Size(), at+int64(len(p)))]; !bytes.Equal(p[:n], want) || err != nil && err != io.EOF {
					t.Errorf("ReadAt(%d) = %d, %v", at, n, err)
				}
				if at += int64(n); at >= f.Size() {
					at = 0
				}
			}
		})
	}
	wg.Wait()
	if c.heldMemory() != chunkSize {
		t.Errorf("%d bytes are held", c.heldMemory())
	}
}

// Sequential reading takes few requests, and fetches each byte once.
func TestRemoteSequence(t *testing.T) {
	o := newOrigin(maxInMemory + 777)
	c, f, before := openRemote(t, o, o)
	var b bytes.Buffer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{f}, make([]byte, 4<<10)); err != nil || !bytes.Equal(b.Bytes(), o.body) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	if n := c.Stats().OriginBytes - before; n != f.Size() {
		t.Errorf("%d bytes were fetched for %d", n, f.Size())
	}
	if n := o.requests(); n > 20 {
		t.Errorf("%d requests", n)
	}
}
