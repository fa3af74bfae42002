package filecache

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// A panic in an Object's method reaches the caller of Prefetch; the other objects are
// fetched.
func TestPanicInPrefetch(t *testing.T) {
	c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(10)
	rude := &script{id: ID{Origin: "x", Name: "y"}, fetch: func(int, Request) (*Response, error) { panic("in Fetch") }}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		if len(c.entryFiles()) != 1 {
			t.Error("the other object was not fetched")
		}
	}()
	c.Prefetch(background, rude, o)
}

// A Goexit in an Object's method becomes an error; the other objects are fetched.
func TestGoexitInPrefetch(t *testing.T) {
	for _, cancelable := range []bool{false, true} {
		c, o := newTest(t, Options{MaxAge: Immutable}, nil), newOrigin(10)
		rude := &script{id: ID{Origin: "x", Name: "y"}, fetch: func(int, Request) (*Response, error) {
			runtime.Goexit()
			return nil, nil
		}}
		ctx, cancel := background, func() {}
		if cancelable {
			ctx, cancel = context.WithCancel(background)
		}
		if err := c.Prefetch(ctx, rude, o); !errors.Is(err, errExited) {
			t.Errorf("Prefetch = %v", err)
		}
		if len(c.entryFiles()) != 1 {
			t.Error("the other object was not fetched")
		}
		cancel()
	}
}
