// Package objecttest tests implementations of [filecache.Object].
//
//	func TestObject(t *testing.T) {
//		content := []byte("lamp 1999, chair 4999")
//		obj := newObject(t, content) // your Object, and an origin that has content
//		if err := objecttest.TestObject(t.Context(), obj, objecttest.Origin{Content: content}); err != nil {
//			t.Error(err)
//		}
//	}
//
// It knows no protocol. The functions of an [Origin] let it replace and remove the
// object and break answers, each as far as your test server can; without them, the
// checks that need them are left out.
package objecttest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// An Origin is the place that an Object is fetched from, as a test controls it.
type Origin struct {
	// Content is the object's bytes when the test begins: at least 16, and some
	// hundred thousand to be sure that a server cannot send them in one piece.
	// Required.
	Content []byte

	// Replace makes content the object's bytes. Nil leaves out the checks with
	// another version. It is not used if the Object's ID has a Version.
	Replace func(content []byte) error

	// Remove removes the object; a later Replace brings it back. Nil leaves out the
	// check that a missing object is told from an origin that fails.
	Remove func() error

	// Refuse makes the origin refuse requests, or serve them again: as for missing
	// rights, or during an outage. Nil leaves out the check that this is not taken
	// for a missing object.
	Refuse func(refuse bool)

	// Cut makes the connection end after so many bytes of each body, or no more if
	// after is negative. Nil leaves out the check that a cut body is not taken for
	// a whole one.
	Cut func(after int)

	// Stall makes the origin send so many bytes of each body and then neither bytes
	// nor an end, or no more of that if after is negative. Nil leaves out the check
	// that Close and the context end a Read that waits.
	Stall func(after int)

	// NoETags says that the origin has nothing that tells versions apart. Without
	// ETags, an object is fetched as a whole whenever its copy is older than MaxAge.
	NoETags bool

	// NoRanges says that the origin sends whole objects only. Fetch must then fail
	// for a range. Large objects come over one connection, and a broken download
	// starts over.
	NoRanges bool
}

// TestObject tests obj, whose origin is o, and returns an error that tells all that
// is wrong, or nil. Requests end with ctx.
//
// It expects the object to be there, with o.Content. If it returns nil, the object
// is there again afterwards if o.Replace is set, and otherwise unless o.Remove was
// called.
func TestObject(ctx context.Context, obj filecache.Object, o Origin) error {
	t := &tester{ctx: ctx, obj: obj, origin: o, content: o.Content}
	if len(o.Content) < 16 {
		return errors.New("objecttest: Origin.Content has less than 16 bytes")
	}
	// Without these, the other checks would only repeat the failure.
	for _, check := range []func(){t.identity, t.whole} {
		if check(); len(t.errs) > 0 {
			return errors.Join(t.errs...)
		}
	}
	for _, check := range []func(){t.revalidation, t.condition, t.ranges, t.newConnection, t.concurrency, t.canceled, t.cache,
		t.cuts, t.stalls, t.refusal, t.replacement, t.removal} {
		check()
	}
	return errors.Join(t.errs...)
}

// patience is how long a call may take that has to return at once. Tests of objects
// that fail have less of it.
var patience = 10 * time.Second

type tester struct {
	ctx     context.Context
	obj     filecache.Object
	origin  Origin
	content []byte // at the origin now

	id   filecache.ID
	etag string
	size int64 // len(content), or -1 if the origin does not tell it
	errs []error
}

func (t *tester) errorf(format string, args ...any) {
	t.errs = append(t.errs, fmt.Errorf("objecttest: "+format, args...))
}

// pinned reports whether the object's bytes can never change.
func (t *tester) pinned() bool { return t.id.Version != "" }
