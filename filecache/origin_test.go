package filecache

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/minio/crc64nvme"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
	"github.com/warmcache/warmcache/internal/disk"
)

var background = context.Background()

func TestMain(m *testing.M) {
	if dir := os.Getenv(downloaderDir); dir != "" {
		downloadForever(dir, os.Getenv(downloaderURL))
	}
	goleak.VerifyTestMain(m)
}

// origin is the origin of an object that misbehaves on demand, as no real server would.
// It is an Object itself.
type origin struct {
	name    string
	version string

	mu       sync.Mutex
	body     []byte
	etag     string
	modified time.Time
	sums     []Checksum
	asked    []Request
	err      error                           // returned instead of a Response
	spoil    func(n int, b []byte) io.Reader // the body of the nth answer, from 1
	wait     chan struct{}                   // answers wait for it
}

func newOrigin(size int) *origin {
	o := &origin{name: "model.bin", modified: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	o.put(randomBytes(size, 1))
	return o
}

func randomBytes(n int, seed uint64) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

// put makes b the current version.
func (o *origin) put(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.body = b
	o.etag = fmt.Sprintf("%q", fmt.Sprintf("%x", crc64nvme.Checksum(b)))
}

func (o *origin) ID() (ID, error) {
	return ID{Origin: "test://bucket", Name: o.name, Version: o.version}, nil
}

func (o *origin) Fetch(ctx context.Context, req Request) (*Response, error) {
	o.mu.Lock()
	o.asked = append(o.asked, req)
	n, wait, err := len(o.asked), o.wait, o.err
	body, etag, spoil := o.body, o.etag, o.spoil
	resp := &Response{Size: int64(len(body)), ETag: etag, LastModified: o.modified, Checksums: o.sums}
	o.mu.Unlock()

	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case err != nil:
		return nil, err
	case req.IfMatch != "" && req.IfMatch != etag:
		return nil, ErrChanged
	case req.IfNoneMatch != "" && req.IfNoneMatch == etag:
		return &Response{NotModified: true}, nil
	}
	part := body[req.Offset:]
	if req.Length > 0 {
		part = part[:req.Length]
	}
	if req.Offset > 0 || req.Length > 0 {
		resp.Checksums = nil
	}
	var r io.Reader = bytes.NewReader(part)
	if spoil != nil {
		if s := spoil(n, part); s != nil {
			r = s
		}
	}
	resp.Body = io.NopCloser(r)
	return resp, nil
}

// requests returns the number of requests since the last call.
func (o *origin) requests() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := len(o.asked)
	o.asked = nil
	return n
}

// sumsOf returns every checksum of b that an origin can announce.
func sumsOf(b []byte) []Checksum {
	crc32be := func(t *crc32.Table) []byte {
		c := crc32.Checksum(b, t)
		return []byte{byte(c >> 24), byte(c >> 16), byte(c >> 8), byte(c)}
	}
	s1, s256 := sha1.Sum(b), sha256.Sum256(b)
	return []Checksum{
		{CRC64NVME, binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(b))},
		{CRC32, crc32be(crc32.IEEETable)},
		{CRC32C, crc32be(crc32.MakeTable(crc32.Castagnoli))},
		{SHA1, s1[:]},
		{SHA256, s256[:]},
	}
}

type testCache struct {
	*Cache
	t        *testing.T
	clocks   *clocktest.Clocks
	dir      string
	root     string // the private directory in dir
	maxBytes int64
	boot     func() ([16]byte, int64)
}

func (c *testCache) setBoot(read func() ([16]byte, int64)) {
	c.boot = read
	c.store.TestBoot(read)
}

func (c *testCache) usage() store.TestUsage { return c.store.TestUsage() }

// newTest returns a cache with clocks that stand still. It can share a directory with
// another cache, as a restarted process does. The wall clock is ahead of the file
// system's clock: otherwise every file would look newly changed, and no verification
// would be remembered.
func newTest(t *testing.T, opts Options, d fakeDisk) *testCache {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	clocks := clocktest.New()
	clocks.Move(time.Minute, 0)
	return openTest(t, opts, clocks, d, func() ([16]byte, int64) { return [16]byte{1}, clocks.Now().Mono + 77 })
}

func openTest(t *testing.T, opts Options, clocks *clocktest.Clocks, d fakeDisk, boot func() ([16]byte, int64)) *testCache {
	t.Helper()
	root := store.DefaultPath(opts.Dir)
	var fs disk.FS = disk.New(root)
	if d != nil {
		d.use(fs)
		fs = d
	}
	c, err := newCache(opts, clocks.Clock(), fs)
	if err != nil {
		t.Fatal(err)
	}
	tc := &testCache{Cache: c, t: t, clocks: clocks, dir: opts.Dir, root: root, maxBytes: opts.MaxBytes}
	tc.setBoot(boot)
	return tc
}

// restart returns the cache of a new process in the same directory and on the same
// boot.
func (c *testCache) restart(d fakeDisk) *testCache {
	c.t.Helper()
	return openTest(c.t, Options{Dir: c.dir, MaxAge: c.maxAge, StaleIfError: c.stale, MaxBytes: c.maxBytes}, c.clocks, d, c.boot)
}

// want reads the object in every way and compares it with the origin's bytes.
func (c *testCache) want(o *origin) {
	c.t.Helper()
	c.wantBytes(o, o.body)
}

func (c *testCache) wantBytes(o *origin, want []byte) {
	c.t.Helper()
	if got, err := c.ReadFile(background, o); err != nil {
		c.t.Errorf("ReadFile: %v", err)
	} else if !bytes.Equal(got, want) {
		c.t.Errorf("ReadFile returned wrong bytes")
	}
}

// dataFiles returns the paths of the data files.
func (c *testCache) dataFiles() []string  { return c.glob("d") }
func (c *testCache) entryFiles() []string { return c.glob("e") }

func (c *testCache) glob(sub string) []string {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.root, sub, "*"))
	if err != nil {
		c.t.Fatal(err)
	}
	return paths
}

func (c *testCache) only(paths []string) string {
	c.t.Helper()
	if len(paths) != 1 {
		c.t.Fatalf("there are %d files, want one: %v", len(paths), paths)
	}
	os.Chmod(paths[0], 0o600) // so that the test can damage it
	return paths[0]
}

func (c *testCache) wantStats(want Stats) {
	c.t.Helper()
	got := c.Stats()
	got.OriginBytes, got.DiskBytes, got.Verified = want.OriginBytes, want.DiskBytes, want.Verified
	got.Unsummed, got.MissesBy = want.Unsummed, want.MissesBy
	if !reflect.DeepEqual(got, want) {
		c.t.Errorf("Stats = %+v, want %+v", got, want)
	}
}

var errOrigin = errors.New("503 slow down")
