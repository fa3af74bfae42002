package cache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Forever is the TTL of values that never change.
const Forever = clock.Forever

// DefaultMaxEntries bounds a Cache whose Options say nothing.
const DefaultMaxEntries = 1000

// ErrNotFound is what a Load returns for a key that does not exist at the
// origin. It may be wrapped.
var ErrNotFound = errors.New("not found")

// Options say what a Cache keeps and for how long. Only Load and TTL are
// required. The functions are called by any number of goroutines at once and
// never under a lock.
type Options[K comparable, V any] struct {
	// Load asks the origin for the value of key. Required.
	//
	// Concurrent Gets of a key share one Load. Its context has the values of
	// the first caller's, but not its deadline: it ends when no caller waits any
	// more, or after LoadTimeout. An error goes to the callers as it is and is
	// not remembered, but see MissingTTL.
	//
	// Load may ask this Cache for other keys, if it passes its context on. To
	// ask for its own key is an error. Two Loads that ask for each other's keys
	// at the same time wait until LoadTimeout.
	Load func(ctx context.Context, key K) (V, error)

	// LoadMany asks the origin for the values of many different keys at once,
	// for GetMany. Keys that it leaves out do not exist. The map becomes the
	// Cache's. Nil means that GetMany calls Load for one key after the other.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)

	// TTL is how old a value may be when it is handed out, counted from the
	// start of its Load. Required: positive, or Forever.
	TTL time.Duration

	// TTLOf gives some values a shorter TTL. One that is longer than TTL counts
	// as TTL; one that is not positive means that the value is not kept. Nil
	// means TTL for all.
	TTLOf func(key K, v V) time.Duration

	// Jitter shortens each value's TTL at random by up to this part of it, so
	// that values which were loaded together, or by a fleet of containers, do
	// not expire together. At least 0 and below 1; zero means none.
	Jitter float64

	// MissingTTL is how long it is remembered that a key does not exist: the
	// error of a Load that matches ErrNotFound, or a key that LoadMany left
	// out. Zero means not at all.
	MissingTTL time.Duration

	// StaleIfError is how far past its TTL a value may be handed out when its
	// Load fails, other than with ErrNotFound, or outlasts LoadTimeout. Each Get
	// still tries to load. Zero means not at all.
	StaleIfError time.Duration

	// LoadTimeout is when a Load is given up, counted from its start, even if it
	// does not heed its context. The error then matches context.DeadlineExceeded.
	// Zero means when the callers give up.
	LoadTimeout time.Duration

	// MaxEntries is how many values are kept; beyond that the least recently
	// used goes. Zero means DefaultMaxEntries.
	MaxEntries int

	// MaxBytes is how large the kept values may be together, as measured by
	// Size, which it requires. A value that is larger alone is handed out but
	// not kept. Zero means no bound.
	MaxBytes int64

	// Size measures a value, in bytes or whatever unit MaxBytes is in. It is
	// called once for each Load. A negative result counts as zero.
	Size func(key K, v V) int64

	// Clone makes a copy for a caller. Without it all callers share one value,
	// and what it points to must not be changed.
	Clone func(v V) V
}

func (o *Options[K, V]) validate() error {
	if o.Load == nil {
		return errors.New("no Options.Load: a cache without an origin has nothing to hand out")
	}
	if o.TTL <= 0 {
		return fmt.Errorf("Options.TTL is %v: it must be positive, or cache.Forever for values that never change", o.TTL)
	}
	for name, v := range map[string]int64{
		"Options.MissingTTL":   int64(o.MissingTTL),
		"Options.StaleIfError": int64(o.StaleIfError),
		"Options.LoadTimeout":  int64(o.LoadTimeout),
		"Options.MaxEntries":   int64(o.MaxEntries),
		"Options.MaxBytes":     o.MaxBytes,
	} {
		if v < 0 {
			return fmt.Errorf("%s is negative (%d)", name, v)
		}
	}
	if !(o.Jitter >= 0 && o.Jitter < 1) { // nor NaN
		return fmt.Errorf("Options.Jitter is %v: it must be at least 0 and below 1", o.Jitter)
	}
	return o.contradiction()
}

func (o *Options[K, V]) contradiction() error {
	switch {
	case o.MaxBytes > 0 && o.Size == nil:
		return errors.New("Options.MaxBytes is set, but Options.Size, which measures the values, is not")
	case o.MaxBytes == 0 && o.Size != nil:
		return errors.New("Options.Size is set, but Options.MaxBytes, which bounds the sum, is not")
	case o.TTL == Forever && o.TTLOf == nil && o.Jitter > 0:
		return errors.New("Options.Jitter shortens Options.TTL, which is Forever")
	case o.TTL == Forever && o.TTLOf == nil && o.StaleIfError > 0:
		return errors.New("Options.StaleIfError is for values past Options.TTL, which is Forever")
	}
	return nil
}
