// Package disktier keeps what package cache has in memory also in files, so that a
// process that is started again in the same container, after a crash or a time-out,
// does not have to ask the database for everything at once:
//
//	var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
//		Load:      loadProduct,
//		TTL:       time.Minute,
//		Tier:      disktier.Must(disktier.New(disktier.Options{})),
//		Namespace: "shop/product/1",
//		Codec:     cache.JSON[Product](),
//	}))
//
// Nothing needs to be there: a directory that is missing, full, read-only, damaged or
// wiped at any moment costs only speed. Several processes may share it.
//
// Caveat: what was in memory is then on a disk, readable for every process of the same
// user, until it is evicted or the container ends.
package disktier

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/boot"
	"github.com/warmcache/warmcache/internal/clock"
)

// DefaultMaxBytes is the budget of a Tier whose Options say nothing.
const DefaultMaxBytes = 32 << 20

// Options say where a Tier keeps its files. The zero Options are good.
type Options struct {
	// Dir is where the Tier makes its own private directory, whose name tells the
	// user. Empty means os.TempDir().
	Dir string

	// MaxBytes is how much room the files of records may take together, each of them
	// whole pages of 4 KiB; beyond that the oldest go first. One that is larger than an
	// eighth of it is not kept. Several processes together may exceed it by what
	// each of them has set since it last looked. Beside the records there is one file
	// of half a MiB. Zero means DefaultMaxBytes. Negative is an error.
	MaxBytes int64
}

// A Tier is a cache.Tier in files. Several Caches may share it. It is safe for
// concurrent use, holds no file open and needs no Close. The zero Tier is not usable:
// call New.
type Tier struct {
	dir      string
	maxBytes int64
	clock    *clock.Clock
	boot     func() (id [16]byte, mono int64)

	mu   sync.Mutex
	used int64 // by the files, as far as known; -1: not yet
}

var _ cache.Tier = (*Tier)(nil)

// New returns a Tier. It does not touch the disk yet.
func New(o Options) (*Tier, error) {
	switch {
	case o.MaxBytes < 0:
		return nil, fmt.Errorf("disktier.New: Options.MaxBytes is negative (%d)", o.MaxBytes)
	case o.MaxBytes == 0:
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	return &Tier{
		dir:      filepath.Join(o.Dir, "warmcache.tier.v1."+strconv.Itoa(os.Geteuid())),
		maxBytes: o.MaxBytes,
		clock:    clock.New(),
		boot:     boot.Read,
		used:     -1,
	}, nil
}

// Must returns t, or panics if err is not nil. It is for package-level variables:
// disktier.Must(disktier.New(...)).
func Must(t *Tier, err error) *Tier {
	if err != nil {
		panic(err)
	}
	return t
}

// Get implements cache.Tier.
func (t *Tier) Get(ctx context.Context, name string, use func(record []byte) bool) (lease string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	epoch, err := t.epoch(name)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(t.path(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return epoch, nil
	case err != nil:
		return "", err
	}
	if record, ok := t.decode(b, epoch); ok && use(record) {
		return "", nil
	}
	return epoch, nil
}

// Set implements cache.Tier.
func (t *Tier) Set(ctx context.Context, r cache.TierRecord) error {
	if err := ctx.Err(); err != nil || r.Record == nil {
		return err
	}
	b := t.encode(r)
	need := room(int64(len(b)))
	if need > t.maxBytes/8 {
		return nil
	}
	if err := t.reserve(need); err != nil {
		return err
	}
	return t.replace(t.path(r.Name), b)
}

// Delete implements cache.Tier.
func (t *Tier) Delete(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The new epoch does it: what comes with an earlier one is no record any more,
	// also if it comes later. The file is taken away only for its room.
	if err := t.newEpoch(name); err != nil {
		return err
	}
	os.Remove(t.path(name))
	return nil
}

// path is where the record of a name is. The record tells names with the same hash
// apart.
func (t *Tier) path(name string) string {
	return filepath.Join(t.dir, fmt.Sprintf("%x", sum(name)))
}

func sum(name string) []byte {
	h := fnv.New128a()
	h.Write([]byte(name))
	return h.Sum(nil)
}

// replace puts a file in the place of what is there.
func (t *Tier) replace(path string, b []byte) error {
	f, err := os.CreateTemp(t.dir, "tmp-")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
