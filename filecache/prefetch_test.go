package filecache

import "testing"

// A panic in an Object's method reaches the caller of Prefetch; the others are
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
