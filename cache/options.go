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

// Defaults for Options fields that are zero.
const (
	DefaultMaxEntries = 1000

	// DefaultLoadTimeout is longer than a healthy origin needs, and shorter than the
	// time limit of most functions.
	DefaultLoadTimeout = 10 * time.Second

	// DefaultRetryAfter allows one failed Load a second for each container.
	DefaultRetryAfter = time.Second

	// DefaultClockSkew allows for a leap second that one machine steps over and another
	// one smears. Otherwise the time services of clouds keep clocks within
	// milliseconds.
	DefaultClockSkew = time.Second

	// DefaultTierTimeout leaves a Tier time to wait for another container's Load. A
	// Tier has shorter limits of its own for calls that should be quick.
	DefaultTierTimeout = 2 * time.Second
)

// ErrNotFound is the error of an [Options.Load] whose key does not exist at the origin.
// Wrap it, if you like together with the database's own error:
//
//	if errors.Is(err, sql.ErrNoRows) {
//		err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
//	}
//
// Load need not return it; a missing key is then an ordinary error and is not cached.
var ErrNotFound = errors.New("not found")

// ErrUnchanged is the error of an [Options.Reload] whose old value is still current at
// the origin. Wrap it if you like.
var ErrUnchanged = errors.New("unchanged")

// KeyErrors is an error of [Options.LoadMany] that is about some of its keys only:
// these have failed, each for its own reason. Use it for keys whose values are unknown,
// such as the UnprocessedKeys of DynamoDB:
//
//	for _, k := range unprocessed {
//		failed[k] = errThrottled
//	}
//	return values, failed
//
// Keys that are neither here nor among the values do not exist. An empty KeyErrors is
// no error.
type KeyErrors[K comparable] map[K]error

// Error returns the number of errors and one of them, with its key.
func (e KeyErrors[K]) Error() string {
	for key, err := range e {
		if len(e) == 1 {
			return fmt.Sprintf("key %v failed: %v", key, err)
		}
		return fmt.Sprintf("%d keys failed, such as %v: %v", len(e), key, err)
	}
	return "no key failed"
}

// Options configure a [Cache]. Only Load and TTL are required. The functions must be safe
// for concurrent use. They are never called under a lock.
type Options[K comparable, V any] struct {
	// Load returns the value of key from the origin. Required.
	//
	// Concurrent Gets of a key share one Load. Its context has the values of the
	// first caller's, so that must not be a context that is reused after the call,
	// such as a *gin.Context: pass c.Request.Context(). It does not have the
	// caller's deadline: it ends when the last caller has left, or after
	// LoadTimeout. An error goes to the callers as it is and is not cached, but see
	// MissingTTL and StaleIfError.
	//
	// Load may get other keys from this Cache, if it passes its context on. To get
	// its own key is an error, or if it does not pass the context on, a wait until
	// LoadTimeout; so is it if two Loads get each other's keys at the same time.
	//
	// If the Cache is a package-level variable and Load uses it, set it in an init
	// function. As an initializer it does not compile: the compiler reports an
	// initialization cycle.
	Load func(ctx context.Context, key K) (V, error)

	// LoadMany returns the values of many different keys from the origin, for
	// GetMany and RefreshMany. Keys that it leaves out do not exist, unless it
	// returns an error as well: then they have failed with that error, and the
	// values count all the same. See KeyErrors for errors of single keys. Values of
	// other keys than it was called with are kept too, for later Gets. The map
	// belongs to the Cache afterwards. Nil means that GetMany calls Load for one
	// key after the other.
	LoadMany func(ctx context.Context, keys []K) (map[K]V, error)

	// MaxBatch is the largest number of keys for one call of LoadMany, such as 10
	// for SSM's GetParameters or 100 for DynamoDB's BatchGetItem. GetMany makes as
	// many calls as it needs, one after the other. Zero means no limit.
	MaxBatch int

	// Reload replaces Load for keys that have a value in memory, which may be past
	// its TTL. It is for origins that can tell whether that is still current, by an
	// ETag, If-Modified-Since, or a version. If it returns ErrUnchanged, old becomes
	// the value of a Load that began when Reload was called. Reload must not change
	// old. GetMany uses it only without LoadMany. Nil means Load.
	Reload func(ctx context.Context, key K, old V) (V, error)

	// TTL is the greatest age of a served value, counted from the start
	// of its Load. Required: positive, or Forever.
	TTL time.Duration

	// TTLOf gives some keys or values a shorter TTL. If it returns more than TTL, TTL
	// counts; if it returns zero or less, the value is not kept. Nil means TTL for
	// all.
	TTLOf func(key K, v V) time.Duration

	// Jitter shortens each value's TTL at random by up to this fraction of it, so
	// that values which were loaded together, or by a fleet of containers, do not
	// expire together. It must be at least 0 and below 1; zero means none. Containers
	// that are restored from one snapshot draw different numbers (on Linux).
	Jitter float64

	// MissingTTL is how long a known miss is kept: the error of a Load that matches
	// ErrNotFound, or a key that LoadMany left out. Meanwhile Get returns that error
	// again; it is ErrNotFound itself if it comes from LoadMany or a Tier. Zero means
	// that known misses are not kept.
	MissingTTL time.Duration

	// StaleIfError is how long past its TTL a value may be served when its Load fails,
	// other than with ErrNotFound, or takes too long: longer than LoadTimeout, or than
	// half of the caller's time until its deadline. Zero means never. See RetryAfter.
	StaleIfError time.Duration

	// RetryAfter is how long after a failed Load the stale value of its key is served
	// at once, without another Load. If a Load has outlasted LoadTimeout, or a caller
	// has waited longer than RetryAfter in vain, this applies to the stale values of
	// all keys, until a Load succeeds. It needs StaleIfError. Zero means
	// DefaultRetryAfter.
	RetryAfter time.Duration

	// LoadTimeout is how long a Load may take. After it, the context of the Load ends,
	// and its callers get a stale value, or an error that matches
	// context.DeadlineExceeded. With LoadMany it counts for each call. Zero means
	// DefaultLoadTimeout; then, without StaleIfError, a caller whose own context cannot
	// end waits even for a Load that ignores its context. Forever means no limit: the
	// Load is canceled when its last caller leaves.
	LoadTimeout time.Duration

	// MaxEntries is the largest number of entries; beyond it the least recently used
	// one is evicted. An entry takes about 200 bytes of memory in addition to its key
	// and value. Zero means DefaultMaxEntries.
	MaxEntries int

	// MaxBytes bounds the sum of the values' sizes, as measured by Size, which it
	// requires. A single larger value is returned but not cached. Zero means no bound.
	MaxBytes int64

	// Size returns the size of a value, in bytes or any other unit that MaxBytes has.
	// It is called once for each Load. A negative result counts as zero.
	Size func(key K, v V) int64

	// Clone returns a copy for one caller. Nil means that all callers share one value,
	// and none may change it or anything it refers to; append to a shared slice is a
	// change.
	Clone func(v V) V

	// Tier is read before Load is called, and written after: see [Tier]. Nil means
	// none. It needs Namespace and Codec.
	//
	// The age of a value travels with it, and no container serves it beyond TTL; a
	// container with a shorter TTL applies its own. Faults of the Tier and of its
	// records cost at most TierTimeout for each call and are counted in Stats; the
	// caller gets the result of Load. Get calls the Tier before Load and after, Refresh
	// once more. A loaded value is stored in the Tier before it is returned. The Tier
	// also stores known misses for MissingTTL, and values for StaleIfError beyond their
	// TTL. Peek does not read the Tier, and Size does not measure it.
	Tier Tier

	// MemoryTTL is how long a value is served from memory before the Tier is read
	// again. When Invalidate has returned nil in another container, this one serves no
	// older value once MemoryTTL has passed, unless Load fails: see StaleIfError. It
	// needs Tier. Zero, or more than a value's TTL, means its TTL.
	MemoryTTL time.Duration

	// Namespace identifies the kind of the values and their encoding, as in
	// "shop/product/3". Change it whenever either changes, since another version of the
	// function may use the same Tier. Required with Tier: at most 64 letters, digits,
	// and any of "-._/".
	Namespace string

	// Codec turns values into bytes for the Tier, and back. Required with Tier: [JSON],
	// [Gob], or your own. A value that cannot be encoded is not stored there.
	Codec Codec[V]

	// ClockSkew is how far apart the wall clocks of two containers may be. A record
	// counts as that much older than it says; one that is still from the future then is
	// rejected. Zero means DefaultClockSkew; it must be below TTL, and at most an hour.
	// Values whose own TTL is below it stay in memory.
	ClockSkew time.Duration

	// TierTimeout is how long one call of the Tier may take, or a quarter of the
	// callers' remaining time, if that is less. A Load that ignores its context is
	// given up after LoadTimeout and at most three times TierTimeout. Zero means
	// DefaultTierTimeout.
	TierTimeout time.Duration
}

func (o *Options[K, V]) validate() error {
	if o.Load == nil {
		return errors.New("Options.Load is nil: it is required")
	}
	if o.TTL <= 0 {
		return fmt.Errorf("Options.TTL is %v: it must be positive, or cache.Forever for values that never change", o.TTL)
	}
	for _, f := range []struct {
		name  string
		value any // bad if it is negative
		bad   bool
	}{
		{"MissingTTL", o.MissingTTL, o.MissingTTL < 0},
		{"StaleIfError", o.StaleIfError, o.StaleIfError < 0},
		{"RetryAfter", o.RetryAfter, o.RetryAfter < 0},
		{"LoadTimeout", o.LoadTimeout, o.LoadTimeout < 0},
		{"MaxBatch", o.MaxBatch, o.MaxBatch < 0},
		{"MaxEntries", o.MaxEntries, o.MaxEntries < 0},
		{"MaxBytes", o.MaxBytes, o.MaxBytes < 0},
		{"MemoryTTL", o.MemoryTTL, o.MemoryTTL < 0},
		{"ClockSkew", o.ClockSkew, o.ClockSkew < 0},
		{"TierTimeout", o.TierTimeout, o.TierTimeout < 0},
	} {
		if f.bad {
			return fmt.Errorf("%s is negative (%v): zero means the default", "Options."+f.name, f.value)
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
	case o.MaxBatch > 0 && o.LoadMany == nil:
		return errors.New("Options.MaxBatch needs Options.LoadMany, which is not set")
	case o.RetryAfter > 0 && o.StaleIfError == 0:
		return errors.New("Options.RetryAfter needs Options.StaleIfError, which is not set")
	case o.TTL == Forever && o.TTLOf == nil && o.Jitter > 0:
		return errors.New("Options.Jitter needs values that expire: Options.TTL is Forever, and Options.TTLOf is not set")
	case o.TTL == Forever && o.TTLOf == nil && o.StaleIfError > 0:
		return errors.New("Options.StaleIfError needs values that expire: Options.TTL is Forever, and Options.TTLOf is not set")
	case o.MemoryTTL > 0 && o.Tier == nil:
		return errors.New("Options.MemoryTTL needs Options.Tier, which is not set")
	}
	return nil
}

func (o *Options[K, V]) validateTier() error {
	switch skew := cmp.Or(o.ClockSkew, DefaultClockSkew); {
	case o.Tier == nil && (o.Namespace != "" || o.Codec.Encode != nil || o.Codec.Decode != nil || o.ClockSkew != 0 || o.TierTimeout != 0):
		return errors.New("Options.Namespace, Codec, ClockSkew and TierTimeout need Options.Tier, which is not set")
	case o.Tier == nil:
		return nil
	case !validNamespace(o.Namespace):
		return fmt.Errorf("Options.Namespace is %q: with Options.Tier it must be 1 to 64 letters, digits, and any of \"-._/\"", o.Namespace)
	case o.Codec.Encode == nil || o.Codec.Decode == nil:
		return errors.New("Options.Codec is not set: with Options.Tier it must be cache.JSON, cache.Gob, or your own")
	case skew >= o.TTL:
		return fmt.Errorf("Options.ClockSkew is %v, and Options.TTL only %v: all records in the Tier would count as expired; ClockSkew must be below TTL", skew, o.TTL)
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
