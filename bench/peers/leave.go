package main

import (
	"context"
	"time"
)

// How long a caller of leaves is willing to wait, and how long it is given to
// leave.
const (
	patience = 30 * time.Millisecond
	grace    = 500 * time.Millisecond
)

// leaves tells which callers of a load that does not return get away from it
// when their context ends: the one that started it, and one that joined it.
func leaves(p peer) string {
	first, joiner := leavesFirst(p), leavesJoined(p)
	switch {
	case first && joiner:
		return "every caller leaves when its ctx ends"
	case joiner:
		return "a joiner leaves when its ctx ends, the first caller does not"
	case first:
		return "the first caller leaves when its ctx ends, a joiner does not"
	default:
		return "no caller leaves when its ctx ends"
	}
}

func leavesFirst(p peer) bool {
	l, _, release := stuck(p)
	defer release()
	return returns(l)
}

func leavesJoined(p peer) bool {
	l, started, release := stuck(p)
	defer release()
	go l.get(context.Background(), "key")
	<-started
	return returns(l)
}

// stuck returns a cache with a loader that stands still until its release.
func stuck(p peer) (l loading, started chan struct{}, release func()) {
	started = make(chan struct{}, 16)
	over := make(chan struct{})
	l = p.load(100, func(context.Context, string) (*value, error) {
		started <- struct{}{}
		<-over
		return &value{}, nil
	})
	return l, started, func() { close(over) }
}

// returns reports whether an impatient caller gets away.
func returns(l loading) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.get(ctx, "key")
	}()
	select {
	case <-done:
		return true
	case <-time.After(grace):
		return false
	}
}
