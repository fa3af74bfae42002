package until_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warmcache/warmcache/internal/until"
)

// asked counts how often somebody wanted to be woken by it.
type asked struct {
	context.Context
	n atomic.Int32
}

func (a *asked) Done() <-chan struct{} {
	a.n.Add(1)
	return a.Context.Done()
}

func soon() time.Time { return time.Now().Add(time.Second) }

func wantErr(t *testing.T, ctx context.Context, want error) {
	t.Helper()
	if err := ctx.Err(); err != want {
		t.Errorf("Err() = %v, want %v", err, want)
	}
}

// isOver reports whether ctx is done.
func isOver(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

type key struct{}

func TestNoTimerForACallThatNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := &asked{Context: context.WithValue(context.Background(), key{}, 7)}
		at := soon()
		ctx := until.With(parent, at)
		defer ctx.Cancel()
		if d, ok := ctx.Deadline(); !ok || !d.Equal(at) {
			t.Errorf("Deadline() = %v, %v", d, ok)
		}
		if v := ctx.Value(key{}); v != 7 {
			t.Errorf("Value = %v", v)
		}
		wantErr(t, ctx, nil)
		if n := parent.n.Load(); n != 0 {
			t.Errorf("Done of the parent was called %d times, so there is a timer", n)
		}
		time.Sleep(time.Second)
		wantErr(t, ctx, context.DeadlineExceeded)
		ctx.Cancel()
		wantErr(t, ctx, context.DeadlineExceeded)
	})
}

func TestDone(t *testing.T) {
	ends := map[string]struct {
		end  func(cancel func(), ctx *until.Context)
		want error
	}{
		"deadline": {func(func(), *until.Context) { time.Sleep(time.Second) }, context.DeadlineExceeded},
		"parent":   {func(cancel func(), _ *until.Context) { cancel() }, context.Canceled},
		"Cancel":   {func(_ func(), ctx *until.Context) { ctx.Cancel() }, context.Canceled},
	}
	for name, c := range ends {
		for _, waits := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, cancel := context.WithCancel(context.Background())
				defer cancel()
				ctx := until.With(parent, soon())
				if waits && isOver(ctx) {
					t.Errorf("%s: over at once", name)
				}
				c.end(cancel, ctx)
				synctest.Wait()
				wantErr(t, ctx, c.want)
				if !isOver(ctx) {
					t.Errorf("%s, waits %v: not over", name, waits)
				}
				wantErr(t, ctx, c.want)
				ctx.Cancel()
				cancel()
				wantErr(t, ctx, c.want)
			})
		}
	}
}

// Err of the one that has no timer is the same for ever, too.
func TestErrDoesNotChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		ctx := until.With(parent, soon())
		time.Sleep(time.Second)
		wantErr(t, ctx, context.DeadlineExceeded)
		cancel()
		wantErr(t, ctx, context.DeadlineExceeded)
	})
}

func TestDeadlineOfTheParent(t *testing.T) {
	parent, cancel := context.WithDeadline(context.Background(), soon())
	defer cancel()
	ctx := until.With(parent, soon().Add(time.Hour))
	want, _ := parent.Deadline()
	if got, _ := ctx.Deadline(); !got.Equal(want) {
		t.Errorf("Deadline() = %v, want the parent's %v", got, want)
	}
}

// A context that is made of one hears of its end without a goroutine that listens.
func TestChildren(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := until.With(context.Background(), soon())
		before := runtime.NumGoroutine()
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		if n := runtime.NumGoroutine() - before; n != 0 {
			t.Errorf("%d goroutines listen", n)
		}
		ctx.Cancel()
		synctest.Wait()
		wantErr(t, child, context.Canceled)
	})
}

func TestTimed(t *testing.T) {
	ends := map[string]struct{ outer, inner time.Duration }{
		"outer first": {time.Second, time.Minute},
		"inner first": {time.Minute, time.Second},
	}
	for name, c := range ends {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				outer := until.With(context.Background(), now.Add(c.outer))
				defer outer.Cancel()
				ctx, cancel := until.Timed(outer, now.Add(c.inner))
				defer cancel()
				if d, _ := ctx.Deadline(); d.Sub(now) != time.Second {
					t.Errorf("it has %v", d.Sub(now))
				}
				time.Sleep(time.Second - 1)
				wantErr(t, ctx, nil)
				time.Sleep(time.Nanosecond)
				<-ctx.Done()
				wantErr(t, ctx, context.DeadlineExceeded)
			})
		})
	}
}

// It takes the place of its parent's timer.
func TestTimedHasOneTimer(t *testing.T) {
	grandparent := &asked{Context: context.Background()}
	parent := until.With(grandparent, soon())
	defer parent.Cancel()
	_, cancel := until.Timed(parent, soon())
	defer cancel()
	if n := grandparent.n.Load(); n != 1 {
		t.Errorf("%d contexts listen to the grandparent, want 1", n)
	}
}

func TestTimedOfWhatIsOver(t *testing.T) {
	grandparent, end := context.WithCancel(context.Background())
	parent := until.With(grandparent, soon())
	running, cancel := until.Timed(parent, soon())
	defer cancel()
	parent.Cancel()
	late, cancel2 := until.Timed(parent, soon())
	defer cancel2()
	wantErr(t, late, context.Canceled)
	wantErr(t, running, nil) // as it says
	end()
	wantErr(t, running, context.Canceled)
}
