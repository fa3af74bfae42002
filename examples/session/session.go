package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"time"
)

// Session is the stored state of a logged-in user.
type Session struct {
	Key     Key
	User    string
	Basket  map[string]int64 // quantities by item
	Version int64            // counts the updates, to detect conflicts
	Expires time.Time        // whole seconds; the session is invalid from then on
}

// Key has every input of an answer about a session. With the tenant in it, the ID
// of one tenant is not valid for another.
type Key struct {
	Tenant string
	ID     ID
}

// ID is the secret that a client presents, so anybody who has it is logged in. It
// is therefore printed abbreviated in errors and logs, also as a field of a struct.
// JSON has the whole ID, which the client needs.
type ID string

// newID returns 130 random bits.
func newID() ID { return ID(rand.Text()) }

// shown is the number of characters to print: enough to find a session in a log,
// with 100 bits left to guess.
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

// LogValue implements slog.LogValuer. Without it, slog's JSON would have the whole
// ID.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// LogValue implements slog.LogValuer.
func (k Key) LogValue() slog.Value {
	return slog.GroupValue(slog.String("tenant", k.Tenant), slog.Any("session", k.ID))
}

var (
	// errNoSession is the only error for a session that is unknown, expired, logged
	// out or another tenant's, so a client cannot tell these apart.
	errNoSession = errors.New("there is no such session")

	// errConflict means that the session was updated or removed since it was read.
	errConflict = errors.New("the session has changed meanwhile")
)
