// Package filecache keeps objects from S3 and other origins as files in /tmp, so
// that a warm container does not fetch them again.
//
// A [Cache] is read-through. [Cache.Open] returns the local copy of an object if it
// is fresh, and otherwise sends a request to the origin. Keep the Cache in a
// package-level variable:
//
//	var files = filecache.Must(filecache.New(filecache.Options{MaxAge: 5 * time.Minute}))
//
// On AWS Lambda the directory survives a crash of the process. On other hosts and in
// a new container nothing survives: every miss is normal.
//
// No fault of the directory becomes the caller's error. After a kill in the middle of
// a download, with a full, read-only or missing disk, or with a corrupt or foreign
// file, the caller gets the origin's bytes and a counter in [Stats] goes up. Bytes
// from disk are verified by CRC-64/NVME before Read returns them, and bytes from the
// origin by its own checksum if it has one. Objects that do not fit on disk stay in
// memory, up to 64 MiB in all; larger ones are read from the origin by ranges. A
// directory that keeps failing is not used for a while.
//
// Several processes may share the directory. On Linux, if some of them miss a large
// object at the same time, one downloads it. The others wait for about as long as the
// download should take, so a frozen process does not block them.
//
// Caveat: the checksums find damage, not forgery by a program of the same user.
// [WithSHA256] finds both.
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

// Immutable is the MaxAge of objects that never change under their name: a copy never
// becomes stale. Objects whose ID has a Version are always immutable.
const Immutable = clock.Forever

// ErrNoDisk reports that a file cannot be kept on disk. Path, Scratch and MakeRoom
// return it; Open and ReadFile work without a disk.
var ErrNoDisk = errors.New("no usable disk for the file")

// Options configure a Cache. The zero Options are ready to use.
type Options struct {
	// Dir is the directory for files, which the Cache keeps in a private
	// subdirectory. Empty means one under os.TempDir, per user, and per function and
	// version if the host has them in the environment. The first use creates it.
	//
	// The private subdirectory must be a real directory of this user with mode 0700.
	// If another user owns it or may use it, it is not used: objects are not kept,
	// Stats.Refused has the reason, and Path and Scratch return the reason with
	// ErrNoDisk. A file system with one forced owner, such as an EFS access point or
	// a FUSE mount, is supported, but not for root.
	Dir string

	// MaxAge is how long a copy is fresh: Open uses it without a request. Age counts
	// from the sending of the request that fetched or revalidated the copy. Zero
	// means that each Open sends a conditional request, which transfers nothing if the
	// copy is current. Negative is an error.
	MaxAge time.Duration

	// StaleIfError is how long past MaxAge a copy may be served if the origin fails:
	// if it is down, refuses, sends corrupt bytes or falls silent, but not if it
	// reports that the object is missing. Each Open still sends a request. If MaxAge
	// is zero, Open may serve a copy that the origin confirmed within StaleIfError.
	//
	// An origin is silent if it sends nothing for 3 seconds, and nothing on a new
	// connection for 1.5 more. If three quarters of the time until ctx's deadline is
	// less, that is the limit. A caller whose ctx is done gets the error of ctx. Zero
	// means never. Negative is an error.
	StaleIfError time.Duration

	// MaxBytes bounds the disk space of the copies, in bytes. Zero means three
	// quarters of the free space and at most 8 GiB; 256 MiB if the free space is
	// unknown. On a file system in memory, zero means a quarter of its free space, or
	// a quarter of the memory that the container's limit leaves if that is less.
	// Larger objects are returned but not kept. The copies use at most three quarters
	// of the inodes if MaxBytes is zero, and nineteen twentieths otherwise. Negative is
	// an error.
	MaxBytes int64

	// KeepFree is the space that stays free on the file system for the function's own
	// files, in bytes: a download that would need it evicts other copies or is not
	// kept. Files that the function has already written do not count towards KeepFree.
	// One twentieth of the file system always stays free. Negative is an error.
	KeepFree int64

	// Concurrency is the largest number of connections for one object: one for the
	// first request, the others for ranges. Each uses 256 KiB of memory. If a
	// connection is far slower than the others, or silent, its part is requested again
	// on another one. Zero means 5. One means that ranges are requested only to resume a
	// download. Negative is an error.
	Concurrency int

	// PartSize is the length of a range, in bytes, rounded up to whole blocks of
	// 256 KiB or more. Objects smaller than two parts are fetched in one piece, as are
	// objects without a strong ETag and objects verified by a SHA. Zero means 8 MiB.
	// Negative is an error.
	PartSize int64

	// Progress is called with the number of an object's bytes received from the
	// origin: about every MiB, and at the end. If the download starts over, done
	// does, too. The download waits for each call; calls for one download do not
	// overlap. Nil means no calls.
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

	// lockWait returns how long to wait for another process. Tests set longer waits.
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

// New returns a Cache. It does not touch the directory and sends no request. It fails
// if opts are invalid.
func New(opts Options) (*Cache, error) {
	return newCache(opts, clock.New(), disk.New(store.DefaultPath(opts.Dir)))
}

func newCache(opts Options, clk *clock.Clock, d disk.FS) (*Cache, error) {
	switch {
	case opts.MaxAge < 0:
		return nil, fmt.Errorf("filecache.New: Options.MaxAge is %v: it must not be negative; zero revalidates every time", opts.MaxAge)
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

// Close makes all later calls fail with [fs.ErrClosed]. Open Files and paths stay
// usable, and the directory stays for the next process. A Cache in a package-level
// variable need not be closed.
func (c *Cache) Close() error {
	c.closed.Store(true)
	return nil
}

// Scratch creates an empty directory for the work of one invocation, such as for a
// file to convert. remove removes it with its content; calling it more than once is
// safe. If the process is killed, the next Scratch of any process in the same directory
// removes the leftovers.
//
// If there is no usable disk, the error matches [ErrNoDisk]. The space is the caller's
// and does not count towards [Options.MaxBytes]. [Cache.ScratchSize] reserves space.
func (c *Cache) Scratch() (dir string, remove func() error, err error) {
	return c.scratch("Scratch", 0)
}

// ScratchSize is [Cache.Scratch] with room for size bytes. It evicts copies if
// necessary, and this Cache does not use the room until remove is called. If there
// cannot be enough room, it evicts nothing and returns an error that matches [ErrNoDisk]
// and has the available size. A negative size is an error.
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

// MakeRoom evicts copies, least recently used first, until the file system has that many
// bytes free, and returns the free space. It does not evict copies that are open or in
// use by Path. If evicting all others would not be enough, it evicts none and returns
// less than requested. Later downloads may use the room again, within
// [Options.KeepFree]. If the directory is not usable, the error is [ErrNoDisk].
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
