// Package filecache keeps objects from S3 and other origins as files in /tmp, so
// that a warm container does not fetch them again.
//
// A [Cache] is read-through: [Cache.Open] hands out the local copy of an object,
// after making sure that it is the right one, whole, and recent enough; else it
// asks the origin. Keep it in a package-level variable:
//
//	var files = filecache.Must(filecache.New(filecache.Options{MaxAge: 5 * time.Minute}))
//
// The directory survives a crash of the process on AWS Lambda, and nothing
// survives on other hosts or in a new container: every miss is normal.
//
// Nothing that happens to the directory becomes the caller's error. A process
// killed in the middle of a download, a full or read-only or missing disk, a
// damaged or foreign file: the caller gets the origin's bytes, and a counter in
// [Stats] goes up. Bytes from the disk are verified by CRC-64/NVME before they are
// handed out, and bytes from the origin by its own checksum where it has one. What
// finds no room on disk is held in memory up to 64 MiB in all, and else read from
// the origin by ranges. A directory that keeps failing is left alone for a while.
//
// Several processes may share the directory. Of those that miss a large object at
// the same time, one downloads it, on Linux; the others wait for it for about as
// long as that takes, and not for one that is frozen.
//
// Caveat: the checksums find damage, not forgery by a program of the same user.
// [WithSHA256] does.
package filecache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/cgroup"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
	"github.com/warmcache/warmcache/internal/flight"
)

// Immutable is the MaxAge for objects that never change under their name: a copy
// is used without asking the origin again. An ID with a Version is always so.
const Immutable = clock.Forever

// ErrNoDisk is the error of Path when the object cannot be kept on disk. Open
// and ReadFile do without.
var ErrNoDisk = errors.New("no usable disk for the file")

// Options say where a Cache keeps files, how many, and for how long. The zero
// Options are usable.
type Options struct {
	// Dir is the directory to keep files in, in a private subdirectory. Empty
	// means one under os.TempDir, per user and per function and version where
	// the host tells them. It is made when it is first needed.
	//
	// The private subdirectory must be a real directory of this user with mode
	// 0700. If another user made it, or others could use it, it is left alone:
	// objects are handed out uncached, Stats.Refused says why, and Path and Scratch
	// return it with ErrNoDisk. A file system that gives all files to one other user,
	// such as an EFS access point or a FUSE mount with a forced owner, is supported,
	// but not for root.
	Dir string

	// MaxAge is how long a copy is used without asking the origin whether it is
	// still current, counted from the sending of the request that fetched or
	// confirmed it. Zero means that the origin is asked on every Open, with a
	// conditional request that transfers nothing when the copy is current.
	// Negative is an error.
	MaxAge time.Duration

	// StaleIfError is how far past MaxAge a copy may be served when the origin fails for
	// any reason but a missing object: it is down, it refuses, it sends something broken,
	// or it falls silent. Each Open still sends a request. With a MaxAge of zero, that
	// is: if the request fails, Open serves a copy that the origin confirmed within
	// StaleIfError.
	//
	// An origin is silent if it sends nothing for 3 seconds, also not on a new
	// connection within 1.5 more, or within three quarters of the time until the
	// deadline of ctx if that is less. A caller whose own ctx is done gets its error.
	// Zero means that no stale copy is served. Negative is an error.
	StaleIfError time.Duration

	// MaxBytes bounds the disk space used, in bytes. Zero means three quarters of
	// what the file system has left, and at most 8 GiB; 256 MiB where it does not
	// say. On a file system made of memory, zero means a quarter of what it has left
	// or of what the memory limit of the container leaves, whichever is less.
	// Larger objects are handed out but not kept. With either, the copies use no more
	// than three quarters (zero) or nineteen twentieths of the inodes. Negative is an
	// error.
	MaxBytes int64

	// KeepFree is how many bytes of the file system stay free for the function's own
	// files: copies never use that room, and a download that needs it evicts others or
	// is not kept. A twentieth of the file system always stays free. Files that the
	// function has written already do not count towards KeepFree. Negative is an error.
	KeepFree int64

	// Concurrency is the largest number of connections that fetch one object: that of
	// the first request, and others for ranges. Each uses 256 KiB of memory. A part whose
	// connection is far slower than the others, or silent, is requested again on another
	// one. Zero means 5. One means that ranges are only requested to resume a broken or
	// interrupted download. Negative is an error.
	Concurrency int

	// PartSize is the length of a range, in bytes, rounded up to whole blocks of
	// 256 KiB or more. Objects smaller than two of them come in one piece, and so
	// do those that have no strong ETag or that are verified by a SHA. Zero
	// means 8 MiB. Negative is an error.
	PartSize int64

	// Progress is told how many of an object's bytes have come from the origin,
	// about every MiB of a download and when all have come. If a download starts
	// over, so does done. It is called by the download, which waits for it, never
	// twice at the same time for one download. Nil means that nobody is told.
	Progress func(id ID, done, total int64)
}

// A Cache keeps local copies of objects. It is safe for concurrent use, and
// several processes may use one directory. The zero Cache is not usable: call New.
type Cache struct {
	maxAge time.Duration
	stale  time.Duration // past maxAge
	clock  *clock.Clock
	store  *store.Store
	memory memory

	concurrency int
	partSize    int64
	progress    func(id ID, done, total int64)

	// How long to wait for another process; tests have more of it.
	lockWait func(size int64, left time.Duration) time.Duration

	flights   *flight.Group[source]
	downloads downloads
	forgets   forgets
	closed    atomic.Bool
	stats     counters
}

// The defaults are those of other S3 clients.
const (
	defaultConcurrency = 5
	defaultPartSize    = 8 << 20
)

// New returns a Cache. It does not look at the directory and asks nothing.
func New(opts Options) (*Cache, error) {
	return newCache(opts, clock.New(), disk.New(store.DefaultPath(opts.Dir)))
}

func newCache(opts Options, clk *clock.Clock, d disk.FS) (*Cache, error) {
	switch {
	case opts.MaxAge < 0:
		return nil, fmt.Errorf("filecache.New: Options.MaxAge is %v: it must not be negative; zero asks the origin every time", opts.MaxAge)
	case opts.StaleIfError < 0:
		return nil, fmt.Errorf("filecache.New: Options.StaleIfError is %v: it must not be negative; zero means not at all", opts.StaleIfError)
	case opts.StaleIfError > 0 && opts.MaxAge == Immutable:
		return nil, errors.New("filecache.New: Options.StaleIfError is for copies past Options.MaxAge, which is Immutable")
	case opts.MaxBytes < 0:
		return nil, fmt.Errorf("filecache.New: Options.MaxBytes is %d: it must not be negative", opts.MaxBytes)
	case opts.KeepFree < 0:
		return nil, fmt.Errorf("filecache.New: Options.KeepFree is %d: it must not be negative", opts.KeepFree)
	case opts.Concurrency < 0:
		return nil, fmt.Errorf("filecache.New: Options.Concurrency is %d: it must not be negative", opts.Concurrency)
	case opts.PartSize < 0:
		return nil, fmt.Errorf("filecache.New: Options.PartSize is %d: it must not be negative", opts.PartSize)
	}
	c := &Cache{
		maxAge:   opts.MaxAge,
		stale:    opts.StaleIfError,
		clock:    clk,
		store:    store.New(d, store.Limits{MaxBytes: opts.MaxBytes, KeepFree: opts.KeepFree}, clk),
		lockWait: lockWait,

		concurrency: cmp.Or(opts.Concurrency, defaultConcurrency),
		partSize:    min(cmp.Or(opts.PartSize, defaultPartSize), blocks.MaxObject),
		progress:    opts.Progress,

		memory:  memory{clock: clk, there: cgroup.NewMemory()},
		flights: flight.NewGroup[source](clk),
	}
	return c, nil
}

// Must returns c, or panics if err is not nil. It is for package-level
// variables: filecache.Must(filecache.New(...)).
func Must(c *Cache, err error) *Cache {
	if err != nil {
		panic(err)
	}
	return c
}

// Close makes every later call fail with fs.ErrClosed. Files and paths handed out
// before stay good, and the directory stays for the next process. There is nothing
// that must be closed: a Cache in a package-level variable need not be.
func (c *Cache) Close() error {
	c.closed.Store(true)
	return nil
}

// Scratch makes an empty directory for the work of one invocation, such as files
// on their way from the origin through a converter and back. Remove removes it with
// all that is in it; calling it more than once is safe. If the process is killed, a later
// Scratch in the same directory, of any process, removes what it left.
//
// It needs a disk by nature: its error matches ErrNoDisk. The space is the caller's
// and does not count as the Cache's. ScratchSize makes sure that there is some.
func (c *Cache) Scratch() (dir string, remove func() error, err error) {
	return c.scratch("Scratch", 0)
}

// ScratchSize is Scratch with room for size bytes: it evicts copies if it must, and until
// remove is called, this Cache leaves to others what of the room is not used yet. It fails
// if there cannot be so much room, with an error that matches ErrNoDisk and says how much
// there is; then it evicts nothing. A negative size is an error.
func (c *Cache) ScratchSize(size int64) (dir string, remove func() error, err error) {
	if size < 0 {
		return "", nil, fmt.Errorf("filecache.ScratchSize: the size is %d: it must not be negative", size)
	}
	return c.scratch("ScratchSize", size)
}

func (c *Cache) scratch(name string, size int64) (dir string, remove func() error, err error) {
	if c.closed.Load() {
		return "", nil, fmt.Errorf("filecache.%s: %w", name, fs.ErrClosed)
	}
	dir, remove, err = c.store.Scratch(size)
	if err != nil {
		return "", nil, fmt.Errorf("filecache.%s: %w: %w", name, ErrNoDisk, err)
	}
	return dir, remove, nil
}

// MakeRoom evicts local copies, least recently used first, until the file system has so
// many bytes free, and returns how many are free then. It may return fewer: the function's
// own files, and copies that are open or in use by Path, stay. If evicting all others would
// not be enough, it evicts none. Later downloads may use the room again, as far as
// Options.KeepFree lets them. The error is ErrNoDisk if the directory is not usable.
func (c *Cache) MakeRoom(bytes int64) (free int64, err error) {
	if c.closed.Load() {
		return 0, fmt.Errorf("filecache.MakeRoom: %w", fs.ErrClosed)
	}
	free, err = c.store.MakeRoom(bytes)
	if err != nil {
		return 0, fmt.Errorf("filecache.MakeRoom: %w: %w", ErrNoDisk, err)
	}
	return free, nil
}
