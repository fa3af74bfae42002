package filecache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/flight"
)

// A Value keeps in memory a value made from an object: parsed rules, a compiled
// template, an open database. It is made once for each version of the object. Keep the
// Value in a package-level variable. It is safe for concurrent use. The zero Value is
// not usable: call [NewValue].
//
// The value's memory counts neither towards [Options.MaxBytes] nor towards any other
// bound. Each Value holds one value, and two while a new version replaces the old one.
// After [Cache.Forget] or [Cache.Clear], or when the object is deleted at the origin,
// the value stays in memory until the next Get or Acquire notices, or until
// [Value.Close].
type Value[T any] struct {
	cache *Cache
	obj   Object
	opts  ValueOptions[T]

	flights *flight.Group[outcome[T]]
	current atomic.Pointer[parsed[T]] // replaced under mu
	closed  atomic.Bool               // written under mu
	mu      sync.Mutex
	stats   valueCounters
}

// ValueOptions configure a [Value]. Parse is required.
type ValueOptions[T any] struct {
	// Parse makes a value from the object. It must not close f, and unless Close is set,
	// it must not use f after it has returned. Its ctx has the values of the first Get
	// that needs the result, and is canceled when the last Get that waits for it
	// returns. Get returns its error.
	Parse func(ctx context.Context, f *File) (T, error)

	// Close, if set, is called once for each value that Parse returned: after a newer
	// value has replaced it, or the object was deleted, and its last user has released
	// it. It is for values with resources, such as memory that must be unmapped or a
	// database handle. Use Acquire for such values; Get returns an error. Until Close
	// returns, the File passed to Parse stays open and usable, as does a path from
	// [File.Path]. An error of Close is only counted. The value that is current when the
	// process ends is not closed. Nil means that values need no closing.
	Close func(T) error

	// StaleIfInvalid is how long past MaxAge the last value may be served if Parse fails
	// for the object's current version. Parse is then called again for that version once
	// every MaxAge. Zero means that Get returns the error of Parse. Negative is an error
	// of Get.
	StaleIfInvalid time.Duration
}

// NewValue returns a [Value] that parse makes from obj, which c keeps. It does not open
// obj, and it does not check its arguments: if one is nil, Get returns an error.
func NewValue[T any](c *Cache, obj Object, parse func(ctx context.Context, f *File) (T, error)) *Value[T] {
	return NewValueWith(c, obj, ValueOptions[T]{Parse: parse})
}

// NewValueWith is [NewValue] with options.
func NewValueWith[T any](c *Cache, obj Object, opts ValueOptions[T]) *Value[T] {
	v := &Value[T]{cache: c, obj: obj, opts: opts}
	if c != nil {
		v.flights = flight.NewGroup[outcome[T]](c.clock)
	}
	return v
}

// parsed is a value and the proof that it is current. It is immutable except for use: a
// change makes a new parsed.
type parsed[T any] struct {
	value   T
	use     *uses // shared by all parsed that have this value; nil if it need not be closed
	id      ID
	version string

	forgets    uint64           // number of the last Forget before the object was opened
	validation store.Validation // of the version; of the newer one if invalid
	invalid    bool             // a newer version could not be parsed
	good       store.Validation // of the version that value was made from
}

// outcome is the result of a flight.
type outcome[T any] struct {
	*parsed[T]
	validation store.Validation // of the version that was opened, also if Parse failed
	stale      bool             // the origin failed: see Options.StaleIfError
	began      uint64           // number of the Cache's last flight before
}

// Get returns the value of the object's current version. If that version was validated
// less than [Options.MaxAge] ago, Get uses neither the disk nor the origin, and returns
// without checking ctx. Otherwise it opens the object as [Cache.Open] does, and calls
// Parse only if the version has changed, or after [Cache.Forget] or [Cache.Clear]. The
// value is never older than the file that Open would return.
//
// Concurrent Gets share one call of Parse. Each returns the error of its ctx as soon as
// that is done, and Parse is canceled when the last of them has returned. If Parse
// panics, Get panics with an error that has Parse's stack.
//
// Get returns the error of Open or Parse. If the origin cannot be reached, Get returns a
// value within [Options.StaleIfError], even without a local copy.
//
// All callers share the value and must not change it.
func (v *Value[T]) Get(ctx context.Context) (T, error) {
	if p := v.hit(); p != nil && p.use == nil {
		return p.value, nil
	}
	var zero T
	if v.opts.Close != nil {
		return zero, v.misused("Get", "ValueOptions.Close is set: use Acquire and call its release after the last use of the value")
	}
	p, err := v.get(ctx, "Get")
	if err != nil {
		return zero, err
	}
	return p.value, nil
}

// Acquire is [Value.Get] for values that must be closed. The value is not closed before
// release is called. Call release when the value is no longer used; calling it more than
// once is safe. It runs [ValueOptions.Close] if this was the last use of a replaced
// value. Acquire allocates a few bytes for release; Get allocates nothing.
func (v *Value[T]) Acquire(ctx context.Context) (value T, release func(), err error) {
	p := v.hit()
	if p == nil || !p.use.acquire() {
		if p, err = v.get(ctx, "Acquire"); err != nil {
			return value, nil, err
		}
	}
	if p.use == nil {
		return p.value, func() {}, nil
	}
	var released atomic.Bool
	return p.value, func() {
		if !released.Swap(true) {
			v.release(p)
		}
	}, nil
}

// Close drops the value. [ValueOptions.Close] is called for it after its last user has
// released it. All later calls of Get and Acquire fail with [fs.ErrClosed]. A Value in a
// package-level variable need not be closed.
func (v *Value[T]) Close() error {
	v.mu.Lock()
	v.closed.Store(true)
	old := v.current.Swap(nil)
	v.mu.Unlock()
	v.release(old)
	return nil
}

// hit returns the value if it is fresh.
func (v *Value[T]) hit() *parsed[T] {
	p := v.current.Load()
	if p == nil || !v.isFresh(p) {
		return nil
	}
	if p.invalid {
		v.stats.invalid.Add(1)
	} else {
		v.stats.hits.Add(1)
	}
	return p
}

// isFresh reports whether p can be served without opening the object.
func (v *Value[T]) isFresh(p *parsed[T]) bool {
	c := v.cache
	if c.closed.Load() || p.forgets != c.forgets.number.Load() && !v.renumber(p) {
		return false
	}
	if p.invalid {
		return c.recent(p.validation) && v.mayServeInvalid(p)
	}
	return p.id.Version != "" || c.recent(p.validation)
}

// renumber reports whether no Forget since p was opened applies to its object, and
// records that in current.
func (v *Value[T]) renumber(p *parsed[T]) bool {
	number := v.cache.forgets.number.Load()
	if v.isForgotten(p) {
		return false
	}
	same := *p
	same.forgets = number
	v.current.CompareAndSwap(p, &same)
	return true
}

func (v *Value[T]) isForgotten(p *parsed[T]) bool { return v.cache.forgets.last(p.id) > p.forgets }

// undatedMaxAge is the maximum age of a load that a caller may join if all its callers
// have no deadline: an earlier invocation may have abandoned an older one.
const undatedMaxAge = 10 * time.Second

// get is Get without a fresh value. If values must be closed, it acquires the returned
// one.
func (v *Value[T]) get(ctx context.Context, method string) (*parsed[T], error) {
	id, err := v.identify(method)
	if err != nil {
		return nil, err
	}
	began, hasJoined := v.cache.flights.LastID(), false
	for {
		out, joined, err := v.flights.Do(ctx, flight.Request[outcome[T]]{
			// A caller that starts after a Forget must not join an earlier flight.
			Key:   strconv.FormatUint(v.cache.forgets.last(id), 10),
			Terms: flight.Terms{MaxAge: clock.LongestInvocation, UndatedMaxAge: undatedMaxAge},
			Load: func(ctx context.Context, fl *flight.Call[outcome[T]]) (outcome[T], error) {
				flight.GrowStack()
				return v.load(ctx, fl, id)
			},
		})
		if joined && !hasJoined {
			hasJoined = true
			v.stats.joins.Add(1)
		}
		switch {
		case joined && !v.answers(out, err, id, began):
			// Try again: the next flight has started since.
		case err != nil:
			return nil, err
		case out.use.acquire():
			return out.parsed, nil
		}
		// Otherwise the value was replaced and closed before this caller could use it.
	}
}

// answers reports whether the result of a joined flight is valid for a caller that
// began after that many flights.
func (v *Value[T]) answers(out outcome[T], err error, id ID, began uint64) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return out.began >= began
	}
	if out.parsed == nil && out.validation == (store.Validation{}) {
		return true // the origin failed, and would fail for this caller too
	}
	return out.stale || v.cache.satisfies(id, out.validation, began)
}

// load makes the outcome of fl from the current version of the object.
func (v *Value[T]) load(ctx context.Context, fl *flight.Call[outcome[T]], id ID) (outcome[T], error) {
	if p := v.current.Load(); p != nil && p.id == id && v.isFresh(p) { // another flight has replaced it since the caller's miss
		return outcome[T]{parsed: p, validation: p.validation}, nil
	}
	for n := 1; ; n++ {
		out := outcome[T]{began: v.cache.flights.LastID()}
		p := &parsed[T]{id: id, forgets: v.cache.forgets.number.Load()}
		f, err := v.cache.openObject(ctx, v.obj, id)
		if err != nil {
			return v.openFailed(ctx, fl, id, out, err)
		}
		out, err = v.opened(ctx, fl, f, p, out)
		if err == nil || !f.unusable.Load() || n == attempts {
			return out, err
		}
		// Parse called File.Path and the copy was corrupt. The next Open fetches it
		// again.
	}
}

// opened completes p from f. It calls Parse if the version has changed. It closes f
// unless the value needs it.
func (v *Value[T]) opened(ctx context.Context, fl *flight.Call[outcome[T]], f *File, p *parsed[T], out outcome[T]) (outcome[T], error) {
	kept := false
	defer func() {
		if !kept {
			f.Close()
		}
	}()
	p.version, p.validation, p.good = f.Version(), f.validation, f.validation
	out.validation, out.stale = f.validation, !v.cache.satisfies(p.id, f.validation, out.began)
	if out.stale {
		v.stats.stale.Add(1)
	}
	old := v.known(p.id)
	if old != nil && old.version == p.version {
		v.stats.revalidated.Add(1)
		p.value, p.use = old.value, old.use
		v.share(fl, p)
		out.parsed = p
		return out, nil
	}
	value, err := v.parse(ctx, f)
	if err != nil {
		return v.parseFailed(ctx, fl, out, old, err)
	}
	p.value = value
	if v.opts.Close != nil {
		f.outlive(ctx)
		p.use, kept = newUses(f), true
	}
	v.replace(fl, p)
	out.parsed = p
	return out, nil
}

// parse calls Parse and counts the call, even if Parse panics.
func (v *Value[T]) parse(ctx context.Context, f *File) (value T, err error) {
	v.stats.parses.Add(1)
	failed := true
	defer func() {
		if failed {
			v.stats.failures.Add(1)
		}
	}()
	value, err = v.opts.Parse(ctx, f)
	failed = err != nil
	return value, err
}

// openFailed returns the outcome after the object could not be opened: err, or the last
// value if it may be served.
func (v *Value[T]) openFailed(ctx context.Context, fl *flight.Call[outcome[T]], id ID, out outcome[T], err error) (outcome[T], error) {
	c := v.cache
	failure := &fs.PathError{Op: "open", Path: id.String(), Err: err}
	if errors.Is(err, fs.ErrNotExist) {
		v.replace(fl, nil)
		return out, failure
	}
	old := v.known(id)
	if old == nil || c.stale == 0 || c.clock.Err(ctx) != nil || errors.Is(err, flight.ErrOwnKey) || !c.mayServeStale(old.good) {
		return out, failure
	}
	v.stats.stale.Add(1)
	out.parsed, out.stale = old, true
	return out, nil
}

// parseFailed returns the outcome after Parse failed with err: the last value if it may
// be served, or err.
func (v *Value[T]) parseFailed(ctx context.Context, fl *flight.Call[outcome[T]], out outcome[T], old *parsed[T], err error) (outcome[T], error) {
	if old == nil || v.opts.StaleIfInvalid == 0 || v.cache.clock.Err(ctx) != nil || !v.mayServeInvalid(old) {
		return out, err
	}
	v.stats.invalid.Add(1)
	p := *old
	p.validation, p.invalid = out.validation, true
	v.share(fl, &p)
	out.parsed = &p
	return out, nil
}

// mayServeInvalid reports whether p may be served although the object has a newer
// version, which cannot be parsed.
func (v *Value[T]) mayServeInvalid(p *parsed[T]) bool {
	return v.cache.isWithin(p.good, v.opts.StaleIfInvalid)
}

// known returns the value of id, or nil if there is none or it was forgotten.
func (v *Value[T]) known(id ID) *parsed[T] {
	p := v.current.Load()
	if p == nil || p.id != id || v.isForgotten(p) {
		return nil
	}
	return p
}

// replace makes p the current value; nil means none. It releases the value that does
// not stay current: the previous one, or p if its flight was abandoned.
func (v *Value[T]) replace(fl *flight.Call[outcome[T]], p *parsed[T]) {
	v.mu.Lock()
	drop := p
	if v.mayKeep(fl, p) {
		drop = v.current.Swap(p)
	}
	v.mu.Unlock()
	v.release(drop)
}

// share makes p the current value if it has the same value as the current one, and
// takes over its use.
func (v *Value[T]) share(fl *flight.Call[outcome[T]], p *parsed[T]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if cur := v.current.Load(); cur != nil && cur.use == p.use && v.mayKeep(fl, p) {
		v.current.Store(p)
	}
}

// mayKeep reports whether p, from the flight fl, may become current. The caller holds
// mu.
func (v *Value[T]) mayKeep(fl *flight.Call[outcome[T]], p *parsed[T]) bool {
	return !v.closed.Load() && (p == nil || !v.isForgotten(p)) && fl.Claim()
}

// release ends one use of p's value, and closes it if that was the last one.
func (v *Value[T]) release(p *parsed[T]) {
	if p == nil || p.use == nil || p.use.n.Add(-1) > 0 {
		return
	}
	defer p.use.file.Close()
	if err := v.opts.Close(p.value); err != nil {
		v.stats.closeErrors.Add(1)
	}
}

// uses counts the users of a value that must be closed. The Value itself is one of
// them.
type uses struct {
	n    atomic.Int64
	file *File // the value may read it
}

func newUses(f *File) *uses {
	u := &uses{file: f}
	u.n.Store(1)
	return u
}

// acquire adds a user, unless the value has been closed. A value that need not be
// closed has no uses.
func (u *uses) acquire() bool {
	if u == nil {
		return true
	}
	for {
		n := u.n.Load()
		if n == 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// identify returns the object's ID, or an error if the Value is not usable.
func (v *Value[T]) identify(method string) (ID, error) {
	switch {
	case v.cache == nil:
		return ID{}, v.misused(method, "the Cache is nil: pass one to NewValue")
	case v.opts.Parse == nil:
		return ID{}, v.misused(method, "the function that parses is nil: pass one to NewValue")
	case v.opts.StaleIfInvalid < 0:
		return ID{}, v.misused(method, fmt.Sprintf("ValueOptions.StaleIfInvalid is %v: it must not be negative; zero means not at all", v.opts.StaleIfInvalid))
	case v.closed.Load():
		return ID{}, fmt.Errorf("filecache.Value.%s: %w", method, fs.ErrClosed)
	}
	id, err := v.cache.identify(v.obj)
	if err != nil {
		return ID{}, fmt.Errorf("filecache.Value.%s: %w", method, err)
	}
	return id, nil
}

func (v *Value[T]) misused(method, how string) error {
	return fmt.Errorf("filecache.Value.%s: %s", method, how)
}
