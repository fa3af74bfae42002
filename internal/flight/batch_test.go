package flight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// batchGate is a load of many keys that waits until it is opened. The value of a key is
// 10 times the number of the load, plus its index.
type batchGate struct {
	open  chan struct{}
	asked [][]int
	calls []*Call[int]
	err   error
}

func (l *batchGate) load(ctx context.Context, indexes []int, calls []*Call[int]) error {
	l.asked = append(l.asked, indexes)
	l.calls = calls
	n := len(l.asked)
	select {
	case <-l.open:
	case <-ctx.Done():
		return ctx.Err()
	}
	if l.err != nil {
		return l.err
	}
	for i, s := range calls {
		s.Set(10*n + indexes[i])
	}
	return l.err
}

type manyResult struct {
	values []int
	joined []bool
	err    error
	caught any
}

func startMany(ctx context.Context, g *Group[int], l *batchGate, keys ...string) <-chan manyResult {
	ch := make(chan manyResult, 1)
	go func() {
		var r manyResult
		defer func() {
			r.caught = recover()
			ch <- r
		}()
		r.values, r.joined, r.err = split(g.DoMany(ctx, Batch[int]{Keys: keys, Terms: Terms{MaxAge: time.Minute}, Load: l.load}))
	}()
	return ch
}

// split returns the parts of the outcomes, and their first error.
func split(outcomes []Outcome[int]) (values []int, joined []bool, err error) {
	for _, o := range outcomes {
		values, joined, err = append(values, o.Value), append(joined, o.Joined), cmp.Or(err, o.Err)
	}
	return values, joined, err
}

func newBatchGate() *batchGate { return &batchGate{open: make(chan struct{})} }

func want(t *testing.T, ch <-chan manyResult, values []int, joined []bool) {
	t.Helper()
	r := <-ch
	if r.err != nil || !slices.Equal(r.values, values) || !slices.Equal(r.joined, joined) {
		t.Errorf("got %+v, want %v, %v", r, values, joined)
	}
}

func TestManyKeysOneLoad(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newBatchGate()
		close(l.open)
		want(t, startMany(ctx, g, l, "a", "b", "a", "c"), []int{10, 11, 10, 13}, []bool{false, false, false, false})
		if fmt.Sprint(l.asked) != "[[0 1 3]]" {
			t.Errorf("called with %v", l.asked)
		}
		want(t, startMany(ctx, g, l), []int{}, []bool{})
		if len(g.lines) != 0 {
			t.Errorf("%d lines left", len(g.lines))
		}
	})
}

// Batches and single calls join each other.
func TestManyJoinsAndIsJoined(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, one, many := NewGroup[int](clock.New()), newGate(), newBatchGate()
		single := start(ctx, g, one.load) // of "key"
		synctest.Wait()
		first := startMany(ctx, g, many, "x", "key", "y")
		synctest.Wait()
		second := startMany(ctx, g, many, "y", "z")
		synctest.Wait()
		joiner := make(chan int, 1)
		go func() {
			v, joined, err := g.Do(ctx, Request[int]{Key: "x", Terms: Terms{MaxAge: time.Minute}})
			if !joined || err != nil {
				t.Errorf("joined %v, %v", joined, err)
			}
			joiner <- v
		}()
		synctest.Wait()
		close(many.open)
		synctest.Wait()
		close(one.open)
		want(t, first, []int{10, 1, 12}, []bool{false, true, false})
		want(t, second, []int{12, 21}, []bool{true, false})
		if v := <-joiner; v != 10 {
			t.Errorf("the single caller got %d", v)
		}
		if r := <-single; r.v != 1 {
			t.Errorf("the first caller got %+v", r)
		}
		if fmt.Sprint(many.asked) != "[[0 2] [1]]" {
			t.Errorf("called with %v", many.asked)
		}
	})
}

func TestInvalidatedKeyOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := NewGroup[int](clock.New()), newBatchGate()
		first := startMany(context.Background(), g, l, "a", "b")
		synctest.Wait()
		g.Invalidate("a")
		if !l.calls[0].Revoked() || l.calls[1].Revoked() {
			t.Error("a should be dropped, b not")
		}
		second := startMany(context.Background(), g, l, "a", "b")
		synctest.Wait()
		close(l.open)
		want(t, first, []int{10, 11}, []bool{false, false})
		want(t, second, []int{20, 11}, []bool{false, true})
	})
}

func TestAbandonedBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, l := NewGroup[int](clock.New()), newBatchGate()
		short, cancel := context.WithCancel(context.Background())
		first := startMany(short, g, l, "a", "b")
		synctest.Wait()
		long, cancel2 := context.WithCancel(context.Background())
		second := startMany(long, g, l, "b", "c")
		synctest.Wait()
		cancel()
		if r := <-first; !errors.Is(r.err, context.Canceled) {
			t.Errorf("first caller got %+v", r)
		}
		synctest.Wait()
		if n := len(g.lines); n != 3 {
			t.Errorf("%d seats, want the first batch to go on for b", n)
		}
		cancel2() // now nobody waits for either
		if r := <-second; !errors.Is(r.err, context.Canceled) {
			t.Errorf("second caller got %+v", r)
		}
		synctest.Wait()
		if n := len(g.lines); n != 0 {
			t.Errorf("%d lines left", n)
		}
	})
}

func TestErrorAndPanicOfABatch(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g, l := NewGroup[int](clock.New()), newBatchGate()
		l.err = errors.New("no database")
		first := startMany(ctx, g, l, "a", "b")
		synctest.Wait()
		second := start(ctx, g, nil) // of "key": not in the batch
		_ = second
		joiner := startMany(ctx, g, l, "b")
		synctest.Wait()
		close(l.open)
		for _, ch := range []<-chan manyResult{first, joiner} {
			if r := <-ch; r.err != l.err {
				t.Errorf("got %+v", r)
			}
		}
		if r := <-second; r.caught == nil {
			t.Error("a nil Load did not panic")
		}
		r := make(chan any, 1)
		go func() {
			defer func() { r <- recover() }()
			g.DoMany(ctx, Batch[int]{Keys: []string{"a"}, Terms: Terms{MaxAge: time.Minute}, Load: func(context.Context, []int, []*Call[int]) error { panic("boom") }})
		}()
		if p, ok := (<-r).(*PanicError); !ok || p.Value != "boom" {
			t.Errorf("recovered %v", p)
		}
		if len(g.lines) != 0 {
			t.Errorf("%d lines left", len(g.lines))
		}
	})
}

func TestBatchThatGetsItsOwnKey(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		g := NewGroup[int](clock.New())
		inner := newBatchGate()
		close(inner.open)
		_, _, err := split(g.DoMany(ctx, Batch[int]{Keys: []string{"a"}, Terms: Terms{MaxAge: time.Minute}, Load: func(ctx context.Context, _ []int, _ []*Call[int]) error {
			_, _, err := split(g.DoMany(ctx, Batch[int]{Keys: []string{"b", "a"}, Terms: Terms{MaxAge: time.Minute}, Load: inner.load}))
			return err
		}}))
		if !errors.Is(err, ErrOwnKey) || fmt.Sprint(inner.asked) != "[[0]]" { // its other key is loaded
			t.Errorf("got %v after %v", err, inner.asked)
		}
		if len(g.lines) != 0 {
			t.Errorf("%d lines left", len(g.lines))
		}
	})
}
