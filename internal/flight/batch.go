package flight

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
)

// A Batch is what DoMany is asked for: a Call for many keys.
type Batch[V any] struct {
	Keys    []string
	MaxAge  time.Duration
	Timeout time.Duration

	// Load fetches the values of the keys with these indexes, for which no
	// flight is under way, and sets those of their seats. Its error goes to all
	// who wait for one of them.
	Load func(ctx context.Context, indexes []int, seats []*Seat[V]) error
}

// Set sets the value of a seat, for the load of a Batch.
func (s *Seat[V]) Set(v V) { s.value = v }

// DoMany returns the results for b.Keys, in their order: those of flights under
// way for them, and else of b.Load, which is called at most once. Joined tells
// which are of others' loads. The error is the first one; it waits for nothing
// more then.
func (g *Group[V]) DoMany(ctx context.Context, b Batch[V]) (values []V, joined []bool, err error) {
	if err := g.clock.Err(ctx); err != nil {
		return nil, nil, err
	}
	w := waiting[V]{group: g, waiter: newWaiter(ctx), joined: make([]bool, len(b.Keys))}
	if err := w.board(b); err != nil {
		return nil, nil, err
	}
	defer w.leaveRest()
	if err := w.wait(); err != nil {
		return nil, nil, err
	}
	values = make([]V, len(b.Keys))
	for i, s := range w.seats {
		if s.err != nil {
			return nil, nil, s.err
		}
		values[i] = s.value
	}
	return values, w.joined, nil
}

// waiting is one caller's wait for several flights.
type waiting[V any] struct {
	group  *Group[V]
	waiter waiter
	seats  []*Seat[V] // by key
	joined []bool
	rest   []wakeup[V] // flights that it has entered and not yet left
}

type wakeup[V any] struct {
	flight *Flight[V]
	ch     <-chan singleflight.Result
}

// board takes a seat for each key, in a flight under way or in a new one.
func (w *waiting[V]) board(b Batch[V]) error {
	g := w.group
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	own := g.newFlight(w.waiter, b.Timeout, now)
	own.calls = new(singleflight.Group)
	var indexes []int
	for i, key := range b.Keys {
		s := g.seats[key]
		switch {
		case s == nil || s.flight != own && !g.joinable(s.flight, b.MaxAge, now):
			g.drop(s)
			s = &Seat[V]{flight: own, key: key}
			g.seats[key] = s
			own.seats = append(own.seats, s)
			indexes = append(indexes, i)
		case s.flight == own: // the same key twice
		case w.waiter.isWithin(s.flight):
			w.fail(own)
			return ErrOwnKey
		default:
			w.joined[i] = true
			w.rest = append(w.rest, wakeup[V]{s.flight, s.flight.join(w.waiter)})
		}
		w.seats = append(w.seats, s)
	}
	if own.seats == nil {
		own.cancel()
		return nil
	}
	own.batch = func() {
		if err := b.Load(own, indexes, own.seats); err != nil {
			for _, s := range own.seats {
				s.err = err
			}
		}
	}
	w.rest = append(w.rest, wakeup[V]{own, g.fly(own)})
	return nil
}

// fail undoes what board did so far. The caller holds the Group's mu.
func (w *waiting[V]) fail(own *Flight[V]) {
	own.cancel()
	for _, s := range own.seats {
		w.group.drop(s)
	}
	for _, r := range w.rest {
		w.group.leaveLocked(w.waiter, r.flight)
	}
	w.rest = nil
}

// wait waits for all flights that were boarded.
func (w *waiting[V]) wait() error {
	for len(w.rest) > 0 {
		r := w.rest[0]
		w.rest = w.rest[1:] // whatever comes, it is not to be left again
		if err := w.group.wait(w.waiter, r.flight, r.ch); err != nil {
			return err
		}
	}
	return nil
}

// leaveRest leaves the flights that it has not waited for.
func (w *waiting[V]) leaveRest() {
	for _, r := range w.rest {
		w.group.leave(w.waiter, r.flight)
	}
}
