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
// The package does not depend on a protocol. The functions of an [Origin] let it replace
// and remove the object, and break responses. Set those that your test server supports.
// The checks that need a missing one are skipped.
package objecttest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// An Origin is the server of an Object, under the control of a test.
type Origin struct {
	// Content is the object's bytes when the test begins. Required; at least 16 bytes.
	// Use some hundred thousand, so that no server can send them in one piece.
	Content []byte

	// Replace replaces the object's bytes by content. Nil skips the checks with another
	// version. It is not called if the Object's ID has a Version.
	Replace func(content []byte) error

	// Remove removes the object; a later Replace creates it again. Nil skips the check
	// that Fetch distinguishes a missing object from a failing origin.
	Remove func() error

	// Refuse makes the origin refuse all requests, as during an outage or without
	// permission, or serve them again. Nil skips the check that Fetch does not report a
	// missing object then.
	Refuse func(refuse bool)

	// Cut makes the connection end after so many bytes of each body. A negative after
	// ends this. Nil skips the check that a truncated body is an error.
	Cut func(after int)

	// Stall makes the origin send so many bytes of each body and then stall. A negative
	// after ends this. Nil skips the check that Close and the context end a pending
	// Read.
	Stall func(after int)

	// NoETags means that the origin cannot tell versions apart. Without ETags, the
	// whole object is fetched again whenever its copy is older than MaxAge.
	NoETags bool

	// NoRanges means that the origin sends whole objects only. Fetch must then fail for
	// a range. Large objects use one connection, and a broken download starts over.
	NoRanges bool
}

// TestObject tests obj, whose origin is o. It returns an error that lists all failures,
// or nil. ctx bounds the requests.
//
// The object must exist and contain o.Content. If TestObject returns nil, the object
// exists again if o.Replace is set, and otherwise unless o.Remove was called.
func TestObject(ctx context.Context, obj filecache.Object, o Origin) error {
	t := &tester{ctx: ctx, obj: obj, origin: o, content: o.Content}
	if len(o.Content) < 16 {
		return errors.New("objecttest: Origin.Content has less than 16 bytes")
	}
	// If one of these fails, the other checks would only repeat the failure.
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

// patience is the time limit for a call that should return at once. Tests of faulty
// objects shorten it.
var patience = 10 * time.Second

type tester struct {
	ctx     context.Context
	obj     filecache.Object
	origin  Origin
	content []byte // the current content at the origin

	id   filecache.ID
	etag string
	size int64 // len(content), or -1 if the origin does not send it
	errs []error
}

func (t *tester) errorf(format string, args ...any) {
	t.errs = append(t.errs, fmt.Errorf("objecttest: "+format, args...))
}

// immutable reports whether the object's bytes never change.
func (t *tester) immutable() bool { return t.id.Version != "" }
