package filecache

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/disk"
)

// A corrupt block of a version that the origin no longer has: without the cache,
// ReadFile would return the new version.
func TestReadFileOfADamagedAndReplacedObject(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	flip(t, c.only(c.dataFiles()), 10)
	o.put(randomBytes(someSize, 2))
	c = c.restart(nil)
	c.want(o)
}

// Corrupt blocks do not accumulate in memory until Close.
func TestRepairedBlocksAreBounded(t *testing.T) {
	o := newOrigin(3 * maxInMemory / 2)
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	os.Truncate(c.only(c.dataFiles()), 0) // or: the disk dies, EIO
	if _, err := io.Copy(io.Discard, f); err != nil {
		t.Fatal(err)
	}
	held := 0
	for _, b := range [][]byte{f.bytes.(*localFile).repaired} {
		held += len(b)
	}
	if held > maxInMemory {
		t.Errorf("%d MiB are held in memory; without a disk it would be 8", held>>20)
	}
}

// The bytes of a repair are verified too: an ETag may be wrong.
func TestRepairIsVerified(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	flip(t, c.only(c.dataFiles()), 10)
	f, err := c.restart(nil).Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.body = randomBytes(someSize, 2) // with the same ETag
	p := make([]byte, 100)
	if _, err := f.ReadAt(p, 0); !errors.Is(err, ErrChecksum) {
		t.Errorf("ReadAt = %v, wrong bytes were returned", err)
	}
}

// A weak ETag never satisfies If-Match; the block's checksum shows whether the bytes
// are the same.
func TestRepairWithAWeakETag(t *testing.T) {
	o := newOrigin(someSize)
	c := newTest(t, Options{MaxAge: time.Hour}, nil)
	s := &script{id: mustID(o), fetch: func(n int, req Request) (*Response, error) {
		if req.IfMatch != "" {
			return nil, ErrChanged // RFC 9110: strong comparison
		}
		resp, err := o.Fetch(background, req)
		if err == nil {
			resp.ETag = `W/"1"`
		}
		return resp, err
	}}
	if _, err := c.ReadFile(background, s); err != nil {
		t.Fatal(err)
	}
	flip(t, c.only(c.dataFiles()), 10)
	f, err := c.restart(nil).Open(background, s)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || !bytes.Equal(b, o.body) {
		t.Errorf("the damage became the caller's: %v", err)
	}
}

// A reader of one block does not wait for the origin's answer about another block.
func TestRepairsDoNotWaitForEachOther(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(someSize)
	c.want(o)
	data := c.only(c.dataFiles())
	flip(t, data, 10)
	flip(t, data, blocks.MinSize+10)
	f, err := c.restart(nil).Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o.requests()
	asked, answer := make(chan struct{}), make(chan struct{})
	o.spoil = func(n int, b []byte) io.Reader {
		if n > 1 {
			return nil
		}
		close(asked)
		<-answer
		return nil
	}
	read := func(at int64) {
		p := make([]byte, 100)
		if _, err := f.ReadAt(p, at); err != nil || !bytes.Equal(p, o.body[at:at+100]) {
			t.Errorf("wrong bytes, or %v", err)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); read(0) }()
	<-asked
	read(blocks.MinSize)
	close(answer)
	<-done
}

// Large objects have larger blocks. Reading them in small pieces reads each block
// repeatedly.
func TestWriteToReadsEachBlockOnce(t *testing.T) {
	d := &readCounter{}
	c, o := newTest(t, Options{MaxAge: time.Hour}, nil), newOrigin(blocks.MaxCount*blocks.MinSize+1)
	c.want(o)
	f, err := c.restart(d).Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d.n.Store(0)
	if n, err := f.WriteTo(io.Discard); n != f.Size() || err != nil || d.n.Load() != n {
		t.Errorf("WriteTo = %d, %v; %d bytes were read", n, err, d.n.Load())
	}
}

type readCounter struct {
	osDisk
	n atomic.Int64
}

func (d *readCounter) Open(p string) (disk.File, error) {
	f, err := d.osDisk.Open(p)
	if err != nil {
		return nil, err
	}
	return countedFile{f, &d.n}, nil
}

type countedFile struct {
	disk.File
	n *atomic.Int64
}

func (f countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.n.Add(int64(n))
	return n, err
}

// A read after Close is not damage: the copy stays.
func TestReadOfAClosedFile(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(someSize)
	f, err := c.Open(background, o)
	if err != nil {
		t.Fatal(err)
	}
	f.bytes.Close() // as Close does while a ReadAt is under way
	for off := range int64(2) {
		if _, err := f.ReadAt(make([]byte, 10), off*blocks.MinSize); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("ReadAt = %v", err)
		}
	}
	if s := c.Stats(); s.Faults != 0 || s.Repairs != 0 || len(c.entryFiles()) != 1 || o.requests() != 1 {
		t.Errorf("%d entries, Stats = %+v", len(c.entryFiles()), s)
	}
}

// A panic of the Object during a repair leaves nothing open.
func TestPanicInARepair(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(someSize)
	c.want(o)
	flip(t, c.only(c.dataFiles()), 10)
	c = c.restart(nil)
	s := &script{id: mustID(o), fetch: func(int, Request) (*Response, error) { panic("of the origin") }}
	func() {
		defer func() { recover() }()
		c.ReadFile(background, s)
	}()
	if s.n != 1 || c.usage().Files != 0 {
		t.Errorf("%d requests, %d files are open", s.n, c.usage().Files)
	}
}
