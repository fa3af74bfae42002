package filecache

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"

	"github.com/minio/crc64nvme"
)

// buffers are of the smallest block size.
var buffers = sync.Pool{New: func() any { b := make([]byte, minBlockSize); return &b }}

func getBuffer() *[]byte  { return buffers.Get().(*[]byte) }
func putBuffer(b *[]byte) { buffers.Put(b) }

// download receives the object and keeps it, once more from the start if the
// bytes turn out wrong or the object is replaced meanwhile, and once more past the
// disk if that lost them.
func (c *Cache) download(ctx context.Context, s *seat, obj Object, id ID, resp *Response, v validity) (source, error) {
	src, err := c.receive(ctx, s, obj, id, resp, v, (*transfer).inParts)
	if errors.Is(err, ErrChecksum) || errors.Is(err, ErrChanged) {
		src, err = c.downloadAgain(ctx, s, true, obj, id, v)
	}
	if errors.Is(err, errLost) {
		src, err = c.downloadAgain(ctx, s, false, obj, id, v)
	}
	return src, err
}

// downloadAgain asks for the object once more and receives it in one piece.
func (c *Cache) downloadAgain(ctx context.Context, s *seat, keep bool, obj Object, id ID, v validity) (source, error) {
	v.asked = c.clock.Now()
	resp, err := c.fetch(ctx, obj, Request{})
	switch {
	case errors.Is(err, fs.ErrNotExist) && s != nil:
		return c.gone(s, id, v, err)
	case err != nil:
		return source{}, err
	}
	if !keep {
		s = nil
	}
	return c.receive(ctx, s, obj, id, resp, v, (*transfer).inOrder)
}

// openUncached opens the object without the disk, which has failed too often, at
// last by why.
func (c *Cache) openUncached(ctx context.Context, obj Object, id ID, why error) (*File, error) {
	resp, err := c.fetch(ctx, obj, Request{})
	if err != nil {
		return nil, err
	}
	c.miss(id, nil, why)
	src, err := c.download(ctx, nil, obj, id, resp, validity{})
	if err != nil {
		return nil, err
	}
	return c.newFile(ctx, obj, src)
}

// receive takes the object from resp, in the way that is given. A nil seat means
// that it is not to be kept.
func (c *Cache) receive(ctx context.Context, s *seat, obj Object, id ID, resp *Response, v validity, how func(*transfer) error) (source, error) {
	src := source{validity: v, object: object{id: id, etag: resp.ETag, size: resp.Size, modified: resp.LastModified}}
	ctx, abort := context.WithCancel(ctx)
	defer abort()
	t := &transfer{cache: c, ctx: ctx, abort: abort, obj: obj, object: src.object}
	t.first = t.body(ctx, resp, 0, resp.Size)
	defer t.first.Close()
	defer context.AfterFunc(ctx, t.first.Close)() // it was asked for with another context
	to := c.newSink(resp.Size, s != nil)
	defer to.close()
	sum := newSummer(resp.Size, id.expected(resp.Checksums))
	t.to, t.sum, t.progress = to, sum, progress{tell: c.progress, id: id, total: resp.Size}

	err := how(t)
	if errors.Is(err, errNoRoom) {
		return c.byRanges(src, to.lost)
	}
	if err == nil {
		err = sum.verify()
	}
	if err != nil {
		return source{}, err
	}
	if len(sum.announced) == 0 {
		c.stats.unsummed.Add(1)
	}
	if to.file != nil {
		l, err := c.publish(s, to, src, sum)
		if err == nil {
			return l.source(), nil
		}
		if errors.Is(err, errDropped) {
			return source{}, err
		}
		c.fault(err)
		to.toMemory()
	}
	if to.memory == nil {
		return c.byRanges(src, to.lost)
	}
	if crc64nvme.Checksum(to.memory) != sum.whole() {
		return c.byRanges(src, true)
	}
	c.stats.uncached.Add(1)
	src.bytes = &inMemory{bytes: to.memory}
	return src, nil
}

// errLost is the error of a disk that does not give back what it took of an object
// that cannot be read by ranges.
var errLost = errors.New("the disk lost what was downloaded")

// byRanges leaves an object at the origin that found no room, or that the disk
// lost.
func (c *Cache) byRanges(src source, lost bool) (source, error) {
	switch {
	case lost && (!src.pinned() || src.id.sha256() != nil):
		return source{}, errLost
	case !src.pinned():
		return source{}, errUnpinned
	}
	c.stats.uncached.Add(1)
	return src, nil
}

// publish makes what was received the local copy: first the data, under a name
// that nobody knows, then the entry that tells it. Killed in between, the process
// leaves a file that a later sweep removes.
func (c *Cache) publish(s *seat, from *sink, src source, sum *summer) (*local, error) {
	e := &entry{
		id: src.id, etag: src.etag, modified: unknownTime, size: src.size,
		whole: sum.whole(), blockSize: sum.blockSize, blocks: sum.blocks,
	}
	if !src.modified.IsZero() {
		e.modified = src.modified.UnixNano()
	}
	if len(sum.announced) > 0 {
		e.algorithm, e.sum = sum.announced[0].Algorithm, sum.announced[0].Sum
	}
	c.boot.stamp(e, src.asked)

	c.publishing.Lock()
	defer c.publishing.Unlock()
	if s.Revoked() {
		return nil, errDropped
	}
	err := fs.ErrExist
	for i := 0; i < attempts && errors.Is(err, fs.ErrExist); i++ {
		e.data = dataName(e.whole, e.size, rand.Uint64())
		err = from.file.Publish(c.store.dataPath(e.data))
	}
	if err != nil {
		return nil, err
	}
	old, err := c.store.add(e)
	if err != nil {
		c.store.unlink(e.data)
		return nil, err
	}
	from.commit(e.data)
	if old != nil && old.data != e.data {
		c.unlink(old.data)
	}
	l := &local{entry: e, validity: src.validity, fetched: true, touched: c.clock.Now().Wall}
	c.remember(l)
	return l, nil
}

// sink is where a download goes: a new file, or memory when the disk fails. Its
// parts may be written at the same time.
type sink struct {
	cache *Cache
	size  int64

	mu       sync.RWMutex // shared by who writes, but not while toMemory moves
	file     newFile
	memory   []byte
	reserved bool
	lost     bool // the file did not give back what it had

	count   sync.Mutex
	done    int64 // nothing is written from here on
	written int64 // what the file system has given of what is reserved
}

// errNoRoom is the error of a sink that can take the bytes nowhere.
var errNoRoom = errors.New("neither disk nor memory has room")

func (c *Cache) newSink(size int64, keep bool) *sink {
	s := &sink{cache: c, size: size}
	if keep && c.reserve(size) {
		s.reserved = true
		f, err := c.store.create(c.store.data(), size)
		if err == nil {
			s.file = f
			if f.Allocated() {
				s.wrote(size)
			}
			return s
		}
		c.fault(err)
	}
	s.toMemory()
	return s
}

// full reports whether there is room nowhere.
func (s *sink) full() bool { return s.file == nil && s.memory == nil }

// WriteAt takes the bytes from off on.
func (s *sink) WriteAt(p []byte, off int64) (int, error) {
	s.mu.RLock()
	f, err := s.file, s.store(p, off)
	s.mu.RUnlock()
	if err == nil || f == nil {
		return len(p), err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cache.fault(err)
	if s.file != nil { // else it was moved meanwhile
		s.toMemory()
	}
	return len(p), s.store(p, off)
}

// store writes to where the download goes now. The caller holds mu.
func (s *sink) store(p []byte, off int64) error {
	end := off + int64(len(p))
	switch {
	case s.file != nil:
		if n, err := s.file.WriteAt(p, off); err != nil || n < len(p) {
			return cmp.Or(err, io.ErrShortWrite)
		}
		s.filled(int64(len(p)), end)
	case s.memory != nil:
		copy(s.memory[off:], p)
	default:
		return errNoRoom
	}
	return nil
}

// filled notes that n bytes up to end are in the file.
func (s *sink) filled(n, end int64) {
	s.count.Lock()
	defer s.count.Unlock()
	s.done = max(s.done, end)
	if !s.file.Allocated() {
		s.wrote(n)
	}
}

// wrote notes that the file system has given n bytes more.
func (s *sink) wrote(n int64) {
	s.written += n
	s.cache.budget.wrote(n)
}

// toMemory goes on in memory, with what the file has so far, if that can be. What
// lies between parts of it is no matter.
func (s *sink) toMemory() {
	f := s.file
	s.file = nil
	s.giveBack()
	if f != nil {
		defer f.Close()
	}
	if s.size > maxInMemory || !s.cache.memory.take(s.size) {
		return
	}
	b := make([]byte, s.size)
	if f != nil {
		if n, _ := f.ReadAt(b[:s.done], 0); int64(n) < s.done {
			s.cache.memory.give(s.size)
			s.lost = true
			return
		}
	}
	s.memory = b
}

// commit turns the reservation into used space.
func (s *sink) commit(data string) {
	s.cache.budget.use(data, s.size)
	s.giveBack()
}

func (s *sink) giveBack() {
	if s.reserved {
		s.reserved = false
		s.cache.budget.wrote(-s.written)
		s.cache.budget.unreserve(s.size)
	}
}

func (s *sink) close() {
	s.giveBack()
	if s.file != nil {
		s.file.Close()
	}
	if s.memory != nil {
		s.cache.memory.give(s.size)
	}
}
