package objecttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

func (t *tester) cuts() {
	if t.origin.Cut == nil {
		return
	}
	after := len(t.content) / 2
	t.origin.Cut(after)
	defer t.origin.Cut(-1)
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	a, err := t.fetch(ctx, filecache.Request{})
	switch {
	case err != nil: // the client reads ahead
	case ctx.Err() != nil:
		t.errorf("reading a cut body takes more than %v: something fetches the rest again and again; turn that off, because filecache does it", patience)
	case a.err == nil && bytes.Equal(a.body, t.content):
		t.errorf("a body is whole although each was cut after %d bytes: something fetches the rest by itself; turn that off, because filecache does it", after)
	case a.err == nil && a.Size < 0 && !a.Framed: // the Response says that truncation cannot be detected
	case a.err == nil:
		t.errorf("a cut body ended with io.EOF after %d of %d bytes, want another error, such as io.ErrUnexpectedEOF", len(a.body), len(t.content))
	case !bytes.HasPrefix(t.content, a.body):
		t.errorf("a cut body had other bytes than the object before it broke off")
	}
}

func (t *tester) stalls() {
	if t.origin.Stall == nil {
		return
	}
	t.origin.Stall(len(t.content) / 2)
	defer t.origin.Stall(-1)
	t.stall("Close", func(body io.Closer, _ context.CancelFunc) { body.Close() })
	t.stall("the end of the context", func(_ io.Closer, cancel context.CancelFunc) { cancel() })
}

// stall starts a Read that waits, calls end and expects the Read to return.
func (t *tester) stall(what string, end func(io.Closer, context.CancelFunc)) {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	stop := time.AfterFunc(patience, cancel) // Fetch may wait for more than the header
	resp, err := t.obj.Fetch(ctx, filecache.Request{})
	stop.Stop()
	if err != nil || resp == nil || resp.Body == nil {
		t.errorf("from an origin that stalls in the body, Fetch returned no Body: %v", errors.Join(err, ctx.Err()))
		return
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, resp.Body)
		ended <- err
	}()
	end(resp.Body, cancel)
	select {
	case err := <-ended:
		if err == nil {
			t.errorf("%s ended a pending Read with io.EOF, want another error", what)
		}
		resp.Body.Close()
	case <-time.After(patience):
		t.errorf("%s does not end a Read that waits", what)
		cancel()
		resp.Body.Close()
	}
}

func (t *tester) refusal() {
	if t.origin.Refuse == nil {
		return
	}
	t.origin.Refuse(true)
	defer t.origin.Refuse(false)
	for what, req := range map[string]filecache.Request{
		"Fetch": {}, "Fetch with IfNoneMatch": {IfNoneMatch: t.etag}, "Fetch of a range": {Offset: 2, Length: 4, IfMatch: t.strong()},
	} {
		switch a, err := t.fetch(t.ctx, req); {
		case err == nil && a.NotModified:
			t.errorf("%s from an origin that refuses returned NotModified", what)
		case err == nil:
			t.errorf("%s from an origin that refuses succeeded with %d bytes", what, len(a.body))
		case errors.Is(err, fs.ErrNotExist):
			t.errorf("%s from an origin that refuses: the error matches fs.ErrNotExist, so the local copy would be removed: %w", what, err)
		case errors.Is(err, filecache.ErrChanged):
			t.errorf("%s from an origin that refuses: the error matches filecache.ErrChanged: %w", what, err)
		}
	}
}

func (t *tester) replacement() {
	if t.origin.Replace == nil || t.immutable() {
		return
	}
	same := slices.Clone(t.content) // the length is the same, to detect ETags that are lengths
	same[0]++
	for _, content := range [][]byte{same, append(slices.Clone(same), "and more"...), t.origin.Content} {
		old, before := t.etag, t.content
		if !t.put(content) {
			return
		}
		a, ok := t.expect("the object after it was replaced", filecache.Request{}, 0, len(content))
		if !ok || old == "" {
			continue
		}
		t.etag = a.ETag
		if a.ETag == old && !bytes.Equal(before, content) {
			t.errorf("ETag is still %q after the object was replaced: a stale copy would be served for ever", old)
			continue
		}
		t.expect("Fetch with the ETag from before the object was replaced as IfNoneMatch", filecache.Request{IfNoneMatch: old}, 0, len(content))
		if t.strong() != "" && !t.origin.NoRanges {
			t.expectChanged("Fetch of a range with the ETag from before the object was replaced as IfMatch",
				filecache.Request{IfMatch: old, Offset: 2, Length: 4})
		}
	}
}

func (t *tester) put(content []byte) bool {
	if err := t.origin.Replace(content); err != nil {
		t.errorf("Origin.Replace: %w", err)
		return false
	}
	t.content = content
	return true
}

func (t *tester) removal() {
	if t.origin.Remove == nil || t.immutable() {
		return
	}
	if err := t.origin.Remove(); err != nil {
		t.errorf("Origin.Remove: %w", err)
		return
	}
	for what, req := range map[string]filecache.Request{"Fetch": {}, "Fetch with IfNoneMatch": {IfNoneMatch: t.etag}} {
		switch a, err := t.fetch(t.ctx, req); {
		case err == nil && a.NotModified:
			t.errorf("%s of a removed object returned NotModified", what)
		case err == nil:
			t.errorf("%s of a removed object succeeded with %d bytes", what, len(a.body))
		case !errors.Is(err, fs.ErrNotExist):
			t.errorf("%s of a removed object: the error does not match fs.ErrNotExist, so the copy would be kept: %w", what, err)
		}
	}
	if t.origin.Replace != nil {
		t.put(t.origin.Content)
	}
}
