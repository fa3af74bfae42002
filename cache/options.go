package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Forever is the TTL of values that never change.
const Forever = clock.Forever

// What counts where Options say nothing.
const (
	DefaultMaxEntries = 1000

	// DefaultClockSkew allows for a leap second that one machine steps over and
	// another one smears. Else the time services of clouds keep clocks within
	// milliseconds.
	DefaultClockSkew = time.Second

	// DefaultTierTimeout leaves a Tier time to wait for another container's Load.
	// A Tier has shorter limits of its own for what should be quick.
	DefaultTierTimeout = 2 * time.Second
)

// ErrNotFound is what a Load returns for a key that does not exist at the
// origin. It may be wrapped, also together with the database's own error:
//
//	if errors.Is(err, sql.ErrNoRows) {
//		err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
//	}
//
// A Load need not return it. Then that a key does not exist is an error like
// others, and is never remembered.
var ErrNotFound = errors.New("not found")

// Options say what a Cache keeps and for how long. Only Load and TTL are
// required. The functions must be safe for concurrent use. They are never called
// under a lock.
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

	// TTLOf gives some keys or values a shorter TTL. One that is longer than TTL
	// counts as TTL; one that is not positive means that the value is not kept. Nil
	// means TTL for all.
	TTLOf func(key K, v V) time.Duration

	// Jitter shortens each value's TTL at random by up to this part of it, so
	// that values which were loaded together, or by a fleet of containers, do
	// not expire together. At least 0 and below 1; zero means none.
	Jitter float64

	// MissingTTL is how long it is remembered that a key does not exist: the
	// error of a Load that matches ErrNotFound, or a key that LoadMany left
	// out. Meanwhile Get returns that error again; it is ErrNotFound itself if
	// LoadMany or a Tier said so. Zero means not at all.
	MissingTTL time.Duration

	// StaleIfError is how far past its TTL a value may be handed out when its
	// Load fails, other than with ErrNotFound, or outlasts LoadTimeout. Each Get
	// still tries to load. Zero means not at all.
	StaleIfError time.Duration

	// LoadTimeout is when a Load is given up, counted from its start, even if it
	// does not heed its context. The error then matches context.DeadlineExceeded.
	// Zero means not before the last caller has given up.
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

	// Clone makes a copy for a caller. Nil means that all callers share one value,
	// and what it points to must not be changed.
	Clone func(v V) V

	// Tier is asked for what is not in memory, before Load is: see Tier. Nil means
	// none. It needs Namespace and Codec.
	//
	// The age of a value travels with it, and no container hands it out beyond TTL;
	// a container with a shorter TTL keeps to its own. Whatever is wrong with the
	// Tier or with what it keeps costs at most TierTimeout for each call of it and is
	// counted in Stats; the caller gets what Load gives. A Get calls it before Load and
	// after, a Refresh once more. What Load has given is kept by the Tier
	// before it is handed out. Besides values the Tier keeps that keys do not exist,
	// for MissingTTL, and values for StaleIfError beyond their TTL. Peek does not
	// ask it, and Size measures what is in memory alone.
	Tier Tier

	// Namespace says what the values are and how they are encoded, as in
	// "shop/product/3": change it whenever either changes, since another version of
	// the function may use the same Tier. Required with Tier: at most 64 letters,
	// digits, and any of "-._/".
	Namespace string

	// Codec turns values into bytes for the Tier, and back. Required with Tier:
	// JSON, or your own. A value that cannot be encoded is not kept there.
	Codec Codec[V]

	// ClockSkew is how far apart the wall clocks of two containers may be. A record
	// counts as that much older than it says, and one that is still from the future
	// then is not used. Zero means DefaultClockSkew; it must be below TTL, and at
	// most an hour. Values whose own TTL is below it stay in memory.
	ClockSkew time.Duration

	// TierTimeout is how long one call of the Tier may take. It gets a quarter of
	// the time that the callers have left, if that is less. A Load that does not
	// heed its context is given up later than LoadTimeout says, by at most three times
	// TierTimeout. Zero means DefaultTierTimeout.
	TierTimeout time.Duration
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
		"Options.ClockSkew":    int64(o.ClockSkew),
		"Options.TierTimeout":  int64(o.TierTimeout),
	} {
		if v < 0 {
			return fmt.Errorf("%s is negative (%d)", name, v)
		}
	}
	if !(o.Jitter >= 0 && o.Jitter < 1) { // nor NaN
		return fmt.Errorf("Options.Jitter is %v: it must be at least 0 and below 1", o.Jitter)
	}
	if err := o.contradiction(); err != nil {
		return err
	}
	return o.validateTier()
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

func (o *Options[K, V]) validateTier() error {
	switch skew := cmp.Or(o.ClockSkew, DefaultClockSkew); {
	case o.Tier == nil && (o.Namespace != "" || o.Codec.Encode != nil || o.Codec.Decode != nil || o.ClockSkew != 0 || o.TierTimeout != 0):
		return errors.New("Options.Namespace, Codec, ClockSkew and TierTimeout are for Options.Tier, which is not set")
	case o.Tier == nil:
		return nil
	case !validNamespace(o.Namespace):
		return fmt.Errorf("Options.Namespace is %q: with Options.Tier it must be 1 to 64 letters, digits, and any of \"-._/\"", o.Namespace)
	case o.Codec.Encode == nil || o.Codec.Decode == nil:
		return errors.New("Options.Codec is not set: with Options.Tier it must be cache.JSON, or your own")
	case skew >= o.TTL:
		return fmt.Errorf("Options.ClockSkew is %v, and Options.TTL only %v: all that the Tier keeps would be too old", skew, o.TTL)
	case skew > time.Hour:
		return fmt.Errorf("Options.ClockSkew is %v: it must be at most an hour", skew)
	case o.Codec.check != nil:
		return o.Codec.check()
	}
	return nil
}

func validNamespace(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "-._/0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}
