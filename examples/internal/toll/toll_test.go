package toll

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/examples/internal/toll/tolltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newGate starts a gate and sets ORIGIN_TOLL.
func newGate(t *testing.T, answer func(string) string) *tolltest.Gate {
	t.Helper()
	g := tolltest.NewFunc(answer)
	t.Cleanup(g.Close)
	t.Setenv("ORIGIN_TOLL", g.Addr())
	return g
}

func ok(string) string { return "ok\n" }

func mustPay(t *testing.T, statement string) {
	t.Helper()
	if err := Pay(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestNoGateNoToll(t *testing.T) {
	t.Setenv("ORIGIN_TOLL", "")
	mustPay(t, "select")
}

func TestOneConnectionForOneCaller(t *testing.T) {
	g := newGate(t, ok)
	want := []string{"select 1", "select 2", ""}
	for _, statement := range want {
		mustPay(t, statement)
	}
	if got := g.Lines(); !reflect.DeepEqual(got, want) {
		t.Errorf("lines = %q, want %q", got, want)
	}
	if g.Dials() != 1 {
		t.Errorf("%d connections, want 1", g.Dials())
	}
}

func TestConcurrentCallersDoNotWaitForEachOther(t *testing.T) {
	const callers = 8
	var arrived sync.WaitGroup
	arrived.Add(callers)
	g := newGate(t, func(string) string {
		arrived.Done()
		arrived.Wait() // waits for all lines before it answers
		return "ok\n"
	})
	var want []string
	var paying sync.WaitGroup
	for i := range callers {
		statement := fmt.Sprint("select ", i)
		want = append(want, statement)
		paying.Go(func() {
			if err := Pay(t.Context(), statement); err != nil {
				t.Error(err)
			}
		})
	}
	paying.Wait()
	if got := slices.Sorted(slices.Values(g.Lines())); !reflect.DeepEqual(got, want) {
		t.Errorf("lines = %q, want %q", got, want)
	}
}

func TestRedialsWhatBroke(t *testing.T) {
	g := newGate(t, ok)
	for n := 1; n <= 3; n++ {
		mustPay(t, "select")
		g.Break()
		if g.Dials() != n {
			t.Errorf("%d connections, want %d", g.Dials(), n)
		}
	}
	if g.Count() != 3 {
		t.Errorf("%d lines, want 3", g.Count())
	}
}

func TestContextEndsTheWait(t *testing.T) {
	for _, test := range []struct {
		name   string
		cancel func(context.Context) (context.Context, context.CancelFunc)
		want   error
	}{
		{"deadline", func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 20*time.Millisecond)
		}, context.DeadlineExceeded},
		{"cancelled before", func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, context.Canceled},
	} {
		t.Run(test.name, func(t *testing.T) {
			var silent atomic.Bool
			newGate(t, func(string) string {
				if silent.Load() {
					return ""
				}
				return "ok\n"
			})
			for _, kept := range []bool{false, true} { // on a new and on an idle connection
				silent.Store(false)
				if kept {
					mustPay(t, "select")
				}
				silent.Store(true)
				ctx, cancel := test.cancel(t.Context())
				defer cancel()
				if err := Pay(ctx, "select"); !errors.Is(err, test.want) {
					t.Errorf("kept %v: error = %v, want %v", kept, err, test.want)
				}
			}
			silent.Store(false)
			mustPay(t, "select") // the broken connection is not reused
		})
	}
}

func TestErrorsNameTheGateAndTheStatement(t *testing.T) {
	for _, test := range []struct {
		name, statement string
		answer          func(string) string
		want            string
	}{
		{"refused", "select", func(string) string { return "line too long\n" }, `the gate says "line too long\n"`},
		{"two lines", "select\n1", ok, "one line"},
		{"too long", strings.Repeat("x", maxLine), ok, "one line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := newGate(t, test.answer)
			err := Pay(t.Context(), test.statement)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{test.want, g.Addr(), fmt.Sprintf("%q", test.statement)} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error = %.300v, want it to say %.100s", err, part)
				}
			}
		})
	}
}

func TestNoGateThere(t *testing.T) {
	g := newGate(t, ok)
	mustPay(t, "select")
	g.Close()
	if err := Pay(t.Context(), "select"); err == nil || !strings.Contains(err.Error(), g.Addr()) {
		t.Errorf("error = %v", err)
	}
}
