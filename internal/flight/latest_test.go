package flight

import (
	"context"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

func TestLatestDeadlineOfALoad(t *testing.T) {
	if _, ok := Latest(context.Background()); ok {
		t.Error("a deadline of a context that has none")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	want, _ := ctx.Deadline()
	if at, ok := Latest(ctx); !ok || !at.Equal(want) {
		t.Errorf("Latest = %v, %v, want %v", at, ok, want)
	}
	outer, inner := NewGroup[int](clock.New()), NewGroup[int](clock.New())
	check := func(ctx context.Context, s *Call[int]) (int, error) {
		if at, ok := Latest(ctx); !ok || !at.Equal(want) {
			t.Errorf("in a load: Latest = %v, %v, want %v", at, ok, want)
		}
		return 0, nil
	}
	outer.Do(ctx, Request[int]{Key: "a", Terms: Terms{MaxAge: time.Hour}, Load: func(ctx context.Context, s *Call[int]) (int, error) {
		check(ctx, s)
		_, _, err := inner.Do(ctx, Request[int]{Key: "b", Terms: Terms{MaxAge: time.Hour}, Load: check})
		return 0, err
	}})
}
