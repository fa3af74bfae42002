// Package disktier stores the values of a [cache.Cache] in files as well, so that a
// process that is started again in the same container, after a crash or a timeout,
// need not load all of them from the database:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load:      loadProduct,
//		TTL:       time.Minute,
//		Tier:      disktier.Must(disktier.New(disktier.Options{})),
//		Namespace: "shop/product/1",
//		Codec:     cache.JSON[Product](),
//	}))
//
// A directory that is missing, full, read-only, damaged or wiped at any moment costs
// only speed. Several processes may share it.
//
// Caveat: the values are on a disk, readable for every process of the same user, until
// they are evicted or the container ends.
package disktier

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/boot"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// DefaultMaxBytes is the budget of a [Tier] whose [Options.MaxBytes] is zero.
const DefaultMaxBytes = 32 << 20

// Options configure a [Tier]. The zero Options are ready to use.
type Options struct {
	// Dir is the directory in which the Tier makes its own private one, whose name has
	// the user's number. Empty means os.TempDir(). The private directory must belong to
	// this user alone: if others could use it, each call fails with an error that names
	// it. A file system that gives all files to one other user, such as an EFS access
	// point, is supported.
	Dir string

	// MaxBytes bounds the room of the files of records, each rounded up to pages of 4
	// KiB; beyond it the oldest files are evicted first. A record that is larger than
	// an eighth of MaxBytes is not stored. Several processes together may exceed
	// MaxBytes by the records that each has set since it last listed the directory.
	// There is one more file, of half a MiB. Zero means DefaultMaxBytes. Negative is an
	// error.
	MaxBytes int64
}

// A Tier is a [cache.Tier] in files. Several Caches may share it. It is safe for
// concurrent use, keeps only its directory open and needs no Close. If the directory
// keeps failing, the Tier stops using it for a while. The zero Tier is not usable: call
// [New].
type Tier struct {
	dir      string
	disk     disk.FS
	breaker  *disk.Breaker
	maxBytes int64
	clock    *clock.Clock
	boot     func() (id [16]byte, mono int64)

	mu   sync.Mutex
	used int64 // by the files, as far as known; -1: not yet
}

var _ cache.Tier = (*Tier)(nil)

// New returns a [Tier]. It does not touch the disk.
func New(o Options) (*Tier, error) {
	switch {
	case o.MaxBytes < 0:
		return nil, fmt.Errorf("disktier.New: Options.MaxBytes is %d: it must not be negative; zero means DefaultMaxBytes", o.MaxBytes)
	case o.MaxBytes == 0:
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	dir := filepath.Join(o.Dir, "warmcache.tier.v1."+strconv.Itoa(os.Geteuid()))
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return newTier(dir, o.MaxBytes, clock.New(), disk.New(dir)), nil
}

func newTier(dir string, maxBytes int64, c *clock.Clock, d disk.FS) *Tier {
	breaker := disk.NewBreaker(c)
	return &Tier{
		dir: dir, disk: disk.Guarded(d, breaker), breaker: breaker,
		maxBytes: maxBytes, clock: c, boot: boot.Read, used: -1,
	}
}

// Must returns t, or panics if err is not nil. It is for package-level variables:
// disktier.Must(disktier.New(...)).
func Must(t *Tier, err error) *Tier {
	if err != nil {
		panic(err)
	}
	return t
}

// noted tells the breaker the outcome of a call, and returns its error.
func (t *Tier) noted(err error) error {
	switch {
	case err == nil:
		t.breaker.Success()
	case !errors.Is(err, disk.ErrOpen):
		t.breaker.Failure(err)
		err = fmt.Errorf("disktier: %w", err)
	}
	return err
}

// Get implements [cache.Tier].
func (t *Tier) Get(ctx context.Context, name string, use func(record []byte) bool) (lease string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	epoch, err := t.epoch(name)
	var b []byte
	if err == nil {
		b, err = t.read(recordName(name))
	}
	if err := t.noted(err); err != nil {
		return "", err
	}
	if record, ok := t.decode(b, epoch); ok && use(record) {
		return "", nil
	}
	return epoch, nil
}

// read returns the contents of a file, or nil if there is none, or if no Tier has made
// it: Set replaces it.
func (t *Tier) read(name string) ([]byte, error) {
	f, err := t.disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		if info, e := t.disk.Lstat(name); e == nil && !info.Mode.IsRegular() {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Private() || info.Size > t.maxBytes {
		return nil, err
	}
	b := make([]byte, info.Size)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF { // the file is truncated
		return nil, nil
	}
	return b[:n], err
}

// Set implements [cache.Tier].
func (t *Tier) Set(ctx context.Context, r cache.TierRecord) error {
	if err := ctx.Err(); err != nil || r.Record == nil {
		return err
	}
	b := t.encode(r)
	need := room(int64(len(b)))
	if need > t.maxBytes/8 {
		return nil
	}
	err := t.reserve(need)
	if err == nil {
		err = t.replace(recordName(r.Name), b)
	}
	return t.noted(err)
}

// Delete implements [cache.Tier].
func (t *Tier) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The new epoch suffices: a record with an earlier one is invalid, also if it is
	// set later. The file is removed only for its room.
	if err := t.newEpoch(name); err != nil {
		return t.noted(err)
	}
	t.disk.RemoveAll(recordName(name))
	return nil
}

const hashSize = 16

// recordName returns the name of a record's file. The record tells names with the same
// hash apart.
func recordName(name string) string { return hex.EncodeToString(sum(name)) }

func sum(name string) []byte {
	h := fnv.New128a()
	h.Write([]byte(name))
	return h.Sum(nil)
}

// replace writes a file, in place of any other of that name.
func (t *Tier) replace(name string, b []byte) error {
	f, err := t.disk.Create("", int64(len(b)))
	if err != nil {
		return err
	}
	defer f.Close()
	if n, err := f.Write(b); err != nil || n < len(b) {
		return cmp.Or(err, io.ErrShortWrite)
	}
	if err = f.Replace(name); err == nil {
		return nil
	}
	if info, e := t.disk.Lstat(name); e == nil && info.Mode.IsDir() && t.disk.RemoveAll(name) == nil {
		err = f.Replace(name) // a rename does not replace a directory
	}
	return err
}
