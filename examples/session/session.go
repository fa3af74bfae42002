package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"time"
)

// Session is what a store keeps for somebody who has logged in.
type Session struct {
	Key     Key
	User    string
	Basket  map[string]int64 // quantities by item
	Version int64            // counts the updates, so that none is written over another
	Expires time.Time        // whole seconds; from then on nobody is let in with it
}

// Key is everything that an answer about a session depends on. An ID that was
// given out by one tenant opens nothing at another.
type Key struct {
	Tenant string
	ID     ID
}

// ID is the secret that a client shows: whoever has it is let in. So it prints
// without most of it, in an error and in a log, also as part of a struct. JSON
// has all of it, or the client would never see it.
type ID string

// newID returns 130 random bits.
func newID() ID { return ID(rand.Text()) }

// shown is enough to find a session in a log, and leaves 100 bits to guess.
const shown = 6

// String implements fmt.Stringer.
func (id ID) String() string {
	if len(id) <= 2*shown {
		return "…"
	}
	return string(id[:shown]) + "…"
}

// GoString implements fmt.GoStringer, for %#v.
func (id ID) GoString() string { return id.String() }

// LogValue implements slog.LogValuer: slog's JSON would have all of it.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("tenant", k.Tenant), slog.Any("session", k.ID))
}

var (
	// errNoSession is all that is told about a session which is unknown, has
	// expired, was logged out or is another tenant's: nobody learns which.
	errNoSession = errors.New("there is no such session")

	// errConflict means that somebody else has updated or removed the session
	// since it was read.
	errConflict = errors.New("the session has changed meanwhile")
)
