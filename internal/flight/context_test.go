package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// loadWith calls Do for one key with a Timeout of one hour.
func loadWith(ctx context.Context, load func(ctx *Flight[int])) {
	NewGroup[int](clock.New()).Do(ctx, Request[int]{
		Key:   "key",
		Terms: Terms{MaxAge: time.Minute, Timeout: time.Hour, Inline: true},
		Load: func(ctx context.Context, _ *Call[int]) (int, error) {
			load(ctx.(*Flight[int]))
			return 1, nil
		},
	})
}

func TestLoadThatIgnoresItsContextStartsNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *Flight[int]
		loadWith(context.Background(), func(ctx *Flight[int]) {
			f = ctx
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Hour {
				t.Errorf("Deadline = %v, %v", at, ok)
			}
			if err := ctx.Err(); err != nil {
				t.Errorf("Err = %v", err)
			}
		})
		if f.ctx != nil || f.ended != nil {
			t.Errorf("the flight has a context %v, a channel %v", f.ctx, f.ended)
		}
		if f.Err() != context.Canceled {
			t.Errorf("after the load: Err = %v", f.Err())
		}
		<-f.Done()
	})
}

func TestContextEndsAtItsDeadline(t *testing.T) {
	eachFirstCaller(t, func(t *testing.T, ctx context.Context) {
		loadWith(ctx, func(ctx *Flight[int]) {
			began := time.Now()
			<-ctx.Done()
			if time.Since(began) != time.Hour || ctx.Err() != context.DeadlineExceeded {
				t.Errorf("after %v: Err = %v", time.Since(began), ctx.Err())
			}
		})
	})
}

// The process is frozen beyond the deadline before Done has been called.
func TestErrWithoutATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loadWith(context.Background(), func(ctx *Flight[int]) {
			time.Sleep(time.Hour - 1)
			if err := ctx.Err(); err != nil {
				t.Errorf("before the deadline: %v", err)
			}
			time.Sleep(time.Nanosecond)
			if err := ctx.Err(); err != context.DeadlineExceeded {
				t.Errorf("at the deadline: %v", err)
			}
			ctx.end()
			<-ctx.Done()
			if err := ctx.Err(); err != context.DeadlineExceeded {
				t.Errorf("the error changed to %v", err)
			}
		})
	})
}

// Contexts that a load derives from its own end with it, and cost no goroutine.
func TestDerivedContexts(t *testing.T) {
	type key struct{}
	for name, derive := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"WithCancel": context.WithCancel,
		"WithTimeout": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 2*time.Hour)
		},
		"below a value": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithCancel(context.WithValue(ctx, key{}, 1))
		},
		"AfterFunc": func(ctx context.Context) (context.Context, context.CancelFunc) {
			derived, cancel := context.WithCancel(context.Background())
			stop := context.AfterFunc(ctx, cancel)
			return derived, func() { stop(); cancel() }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				loadWith(context.Background(), func(ctx *Flight[int]) { // its deadline comes first
					before := runtime.NumGoroutine()
					derived, cancel := derive(ctx)
					defer cancel()
					if n := runtime.NumGoroutine() - before; n > 0 { // an earlier subtest may still end
						t.Errorf("it costs %d goroutines", n)
					}
					<-derived.Done()
					if d, ok := ctx.Deadline(); !ok || !time.Now().Equal(d) {
						t.Errorf("it ended %v after the load's deadline", time.Since(d))
					}
					if name != "AfterFunc" && (derived.Err() != context.DeadlineExceeded || context.Cause(derived) != context.DeadlineExceeded) {
						t.Errorf("Err = %v, Cause = %v", derived.Err(), context.Cause(derived))
					}
				})

				var derived context.Context
				var cancel context.CancelFunc
				loadWith(context.Background(), func(ctx *Flight[int]) { derived, cancel = derive(ctx) })
				defer cancel()
				<-derived.Done()
				if derived.Err() != context.Canceled {
					t.Errorf("after the load: Err = %v", derived.Err())
				}

				loadWith(context.Background(), func(ctx *Flight[int]) {
					ctx.end()
					late, cancel := derive(ctx)
					defer cancel()
					<-late.Done()
				})
			})
		})
	}
}

// The first caller's cancel and its cause are not the load's.
func TestCauseOfTheFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, cancel := context.WithCancelCause(context.Background())
		joined, release := make(chan bool), make(chan bool)
		g := NewGroup[int](clock.New())
		do := func(ctx context.Context) {
			g.Do(ctx, Request[int]{Key: "key", Terms: Terms{MaxAge: time.Minute}, Load: func(ctx context.Context, _ *Call[int]) (int, error) {
				<-release
				if err := context.Cause(ctx); err != nil {
					t.Errorf("Cause = %v", err)
				}
				return 1, nil
			}})
			joined <- true
		}
		go do(first)
		synctest.Wait()
		go do(context.Background())
		synctest.Wait()
		cancel(errors.New("the first caller's"))
		<-joined
		close(release)
		<-joined
	})
}

// untimedForever is a context with a deadline that does not end by itself.
type untimedForever struct{ context.Context }

func (untimedForever) Deadline() (time.Time, bool) { return time.Now().Add(time.Second), true }

// The load's context ends at its own deadline, although that of its first caller is earlier
// and no timer watches it.
func TestDeadlineOfTheFirstCallerIsNotTheLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		loadWith(untimedForever{context.Background()}, func(ctx *Flight[int]) {
			began := time.Now()
			select {
			case <-ctx.Done():
				if d := time.Since(began); d != time.Hour {
					t.Errorf("it ended after %v", d)
				}
			case <-time.After(2 * time.Hour):
				t.Error("it did not end")
			}
		})
	})
}

type rudeDone struct{ context.Context }

func (rudeDone) Done() <-chan struct{} { panic("rude") }

func TestContextWhoseDonePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGroup[int](clock.New())
		load := func(context.Context, *Call[int]) (int, error) { return 7, nil }
		if r := <-start(rudeDone{context.Background()}, g, load); r.caught == nil {
			t.Errorf("got %+v", r)
		}
		if r := <-start(context.Background(), g, load); r.v != 7 {
			t.Errorf("the next caller got %+v", r)
		}
	})
}

// For the race detector: all methods run concurrently while the load ends.
func TestContextInManyGoroutines(t *testing.T) {
	for range 200 {
		var wg sync.WaitGroup
		loadWith(context.Background(), func(ctx *Flight[int]) {
			for range 4 {
				wg.Go(func() { <-ctx.Done() })
				wg.Go(func() {
					derived, cancel := context.WithCancel(ctx)
					defer cancel()
					<-derived.Done()
					if derived.Err() != context.Canceled {
						t.Errorf("Err = %v", derived.Err())
					}
				})
				wg.Go(func() {
					for ctx.Err() == nil {
						runtime.Gosched()
					}
				})
				wg.Go(func() { context.AfterFunc(ctx, func() {})() })
			}
		})
		wg.Wait()
	}
}
