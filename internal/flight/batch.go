package flight

import (
	"context"
	"errors"
)

// A Batch is a Request for many keys.
type Batch[V any] struct {
	Keys []string
	Terms

	// Load fetches the values of the keys with these indexes, whose loads the caller
	// does not join. It calls Set or Fail for each of calls; those for which it calls
	// neither get its error.
	Load func(ctx context.Context, indexes []int, calls []*Call[V]) error
}

// An Outcome is the result of a Batch for one key.
type Outcome[V any] struct {
	Value  V
	Joined bool // the result is of another caller's load
	Err    error
}

// DoMany is Do for b.Keys. It calls b.Load at most once, and returns the results in
// the order of the keys. If ctx ends, the keys whose loads have not ended have its
// error.
func (g *Group[V]) DoMany(ctx context.Context, b Batch[V]) []Outcome[V] {
	w := waiting[V]{group: g, waiter: newWaiter(ctx), results: make([]Outcome[V], len(b.Keys))}
	if err := g.clock.Err(ctx); err != nil {
		for i := range w.results {
			w.results[i].Err = err
		}
		return w.results
	}
	w.joinAll(b)
	defer w.leaveAll()
	for w.left = range w.flights {
		w.flights[w.left].err = w.wait(w.flights[w.left].flight)
	}
	w.left = len(w.flights)
	for i, c := range w.calls {
		r := &w.results[i]
		if c == nil {
			continue // it has failed already
		}
		if r.Err = w.flights[w.of[i]].err; r.Err == nil {
			r.Value, r.Err = c.value, c.err
		}
	}
	return w.results
}

// waiting is one caller's wait for several flights.
type waiting[V any] struct {
	group   *Group[V]
	waiter  waiter
	results []Outcome[V]
	calls   []*Call[V]  // of the keys
	of      []int       // the keys' indexes in flights
	flights []joined[V] // each once
	left    int         // the index of the first flight that it has not waited for
}

type joined[V any] struct {
	flight *Flight[V]
	err    error
}

// joinAll joins the flights of the keys, and starts one for all others.
func (w *waiting[V]) joinAll(b Batch[V]) {
	g := w.group
	g.mu.Lock()
	defer g.mu.Unlock()
	now, at := g.clock.NowTime()
	w.calls, w.of = make([]*Call[V], len(b.Keys)), make([]int, len(b.Keys))
	w.flights = make([]joined[V], 1)
	own := newFlight(g, w.waiter, &b.Terms)
	var indexes []int
	own.batch = func() {
		err := b.Load(own, indexes, own.many)
		for _, c := range own.many {
			if c.err == errUnset {
				c.err = err
			}
		}
	}
	if b.Queue {
		own.began = make(chan struct{})
	} else {
		own.prepare(now, at)
	}
	index := map[*Flight[V]]int{own: 0}
	for i, key := range b.Keys {
		l := g.lines[key]
		c := own.callOf(l)
		if c == nil {
			if isWithinAny(w.waiter, l) {
				w.results[i].Err = ErrOwnKey
				continue
			}
			c = g.joinable(l, &b.Terms, now)
		}
		if c == nil {
			if b.Queue && l != nil && l.current != nil && g.alive(l.current.flight, &b.Terms, now) {
				own.queueBehind(l.current.flight)
			}
			c = &Call[V]{flight: own, key: key, err: errUnset}
			own.many, indexes = append(own.many, c), append(indexes, i)
			g.enter(c)
			if !own.queued() {
				g.makeCurrent(c)
			}
		}
		at, known := index[c.flight]
		if !known {
			c.flight.join(w.waiter)
			at = len(w.flights)
			index[c.flight] = at
			w.flights = append(w.flights, joined[V]{flight: c.flight})
		}
		w.results[i].Joined = at > 0
		w.calls[i], w.of[i] = c, at
	}
	w.flights[0].flight = own
	if own.many == nil {
		own.ended = make(chan struct{})
		close(own.ended) // nobody waits for it
		return
	}
	if b.Queue {
		if own.behind == nil {
			own.began = nil
		}
		own.prepare(now, at)
	}
	g.start(own)
}

// errUnset is the error of a Call that the load of its Batch has not set.
var errUnset = errors.New("not set")

// callOf returns f's own Call on l, if there is one. There is if b.Keys has a key
// twice.
func (f *Flight[V]) callOf(l *line[V]) *Call[V] {
	switch {
	case l == nil:
	case l.pending != nil && l.pending.flight == f:
		return l.pending
	case l.current != nil && l.current.flight == f:
		return l.current
	}
	return nil
}

// wait waits for f. Once the waiter's context has ended, it returns at once, with the
// result if there is one.
func (w *waiting[V]) wait(f *Flight[V]) error {
	err := w.group.wait(w.waiter, f)
	if err != nil && err != ErrTimeout {
		select {
		case <-f.ended:
			return f.rethrow()
		default:
		}
	}
	return err
}

// leaveAll leaves the flights that it has not waited for, after a panic.
func (w *waiting[V]) leaveAll() {
	for _, j := range w.flights[min(w.left+1, len(w.flights)):] {
		w.group.leave(w.waiter, j.flight)
	}
}
