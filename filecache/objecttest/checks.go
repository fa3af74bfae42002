package objecttest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"

	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/filecache"
)

// answer is the result of a Fetch.
type answer struct {
	*filecache.Response
	body []byte
	err  error // from reading the body
}

// fetch calls Fetch and reads the body. The error is from Fetch, or says that Fetch
// returned an invalid Response.
func (t *tester) fetch(ctx context.Context, req filecache.Request) (a answer, err error) {
	resp, err := t.obj.Fetch(ctx, req)
	switch {
	case err != nil:
		return answer{}, err
	case resp == nil:
		return answer{}, errors.New("it returned neither a Response nor an error")
	case resp.NotModified:
		if resp.Body != nil {
			resp.Body.Close()
		}
		return answer{Response: resp}, nil
	case resp.Body == nil:
		return answer{}, errors.New("the Response has no Body")
	}
	defer resp.Body.Close()
	a = answer{Response: resp}
	a.body, a.err = io.ReadAll(resp.Body)
	return a, nil
}

// expect calls Fetch and expects the bytes from off to before end. For anything else it
// reports an error that starts with the given description, and returns false.
func (t *tester) expect(what string, req filecache.Request, off, end int) (answer, bool) {
	ctx, cancel := context.WithTimeout(t.ctx, 6*patience)
	defer cancel()
	a, err := t.fetch(ctx, req)
	switch want := t.content[off:end]; {
	case err != nil:
		t.errorf("%s: Fetch failed: %w", what, err)
	case a.NotModified:
		t.errorf("%s: Fetch returned NotModified, which only a matching Request.IfNoneMatch allows", what)
	case a.err != nil:
		t.errorf("%s: reading the Body failed after %d bytes: %w", what, len(a.body), a.err)
	case len(a.body) != len(want):
		t.errorf("%s: the Body has %d bytes, want %d", what, len(a.body), len(want))
	case !bytes.Equal(a.body, want):
		t.errorf("%s: the Body has other bytes than the object", what)
	case a.Size != int64(len(t.content)) && a.Size != -1:
		t.errorf("%s: Size is %d, want the size of the whole object, %d, or -1 if the origin does not send it", what, a.Size, len(t.content))
	default:
		t.sums(what, a.Checksums)
		return a, true
	}
	return a, false
}

// sums checks the checksums against the whole object.
func (t *tester) sums(what string, sums []filecache.Checksum) {
	for _, s := range sums {
		var want []byte
		switch s.Algorithm {
		case filecache.CRC64NVME:
			want = binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(t.content))
		case filecache.CRC32:
			want = binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(t.content))
		case filecache.CRC32C:
			want = binary.BigEndian.AppendUint32(nil, crc32.Checksum(t.content, crc32.MakeTable(crc32.Castagnoli)))
		case filecache.SHA1:
			sum := sha1.Sum(t.content)
			want = sum[:]
		case filecache.SHA256:
			sum := sha256.Sum256(t.content)
			want = sum[:]
		}
		if want == nil || !bytes.Equal(s.Sum, want) {
			t.errorf("%s: the %v in Checksums is %x, want %x, that of the whole object", what, s.Algorithm, s.Sum, want)
		}
	}
}

// maxID is the maximum length of an ID.
const maxID = 4 << 10

func (t *tester) identity() {
	id, err := t.obj.ID()
	again, errAgain := t.obj.ID()
	switch {
	case err != nil || errAgain != nil:
		t.errorf("ID failed: %w", errors.Join(err, errAgain))
	case id.Origin == "" || id.Name == "":
		t.errorf("ID returned an empty Origin or Name: %+v", id)
	case len(id.Origin)+len(id.Name)+len(id.Version) > maxID:
		t.errorf("ID is longer than %d bytes", maxID)
	case id != again:
		t.errorf("ID returned %v, then %v: no copy would be found again", id, again)
	}
	t.id = id
}

func (t *tester) whole() {
	a, ok := t.expect("the whole object", filecache.Request{}, 0, len(t.content))
	if !ok || len(t.errs) > 0 {
		return
	}
	t.etag, t.size = a.ETag, a.Size
	b, ok := t.expect("the whole object again", filecache.Request{}, 0, len(t.content))
	switch {
	case !ok:
	case a.ETag == "" && !t.immutable() && !t.origin.NoETags:
		t.errorf("never revalidates: ETag is empty, so the whole object is fetched again whenever its copy is older than MaxAge; " +
			"return an ETag, or set Origin.NoETags if the origin has none")
	case a.ETag != b.ETag:
		t.errorf("never revalidates: ETag was %q, then %q, of the same bytes", a.ETag, b.ETag)
	}
}

// other is an ETag that matches no object.
const other = `"objecttest-another-version"`

func (t *tester) revalidation() {
	if t.etag == "" {
		return
	}
	switch a, err := t.fetch(t.ctx, filecache.Request{IfNoneMatch: t.etag}); {
	case err != nil:
		t.errorf("Fetch with IfNoneMatch failed: %w", err)
	case !a.NotModified:
		t.errorf("never revalidates: Fetch with the current ETag as IfNoneMatch sent %d bytes, want a Response with NotModified", len(a.body))
	case a.Body != nil || a.Size != 0 || a.ETag != "" || a.Checksums != nil:
		t.errorf("the Response with NotModified has other fields set: %+v", *a.Response)
	}
	t.expect("Fetch with another version's ETag as IfNoneMatch", filecache.Request{IfNoneMatch: other}, 0, len(t.content))
}

func (t *tester) condition() {
	if t.strong() == "" {
		return
	}
	t.expect("Fetch with the current ETag as IfMatch", filecache.Request{IfMatch: t.etag}, 0, len(t.content))
	t.expectChanged("Fetch with another version's ETag as IfMatch", filecache.Request{IfMatch: other})
	if !t.origin.NoRanges {
		t.expectChanged("Fetch of a range with another version's ETag as IfMatch", filecache.Request{IfMatch: other, Offset: 2, Length: 4})
	}
}

// strong returns the ETag if it is a strong one: equal strong ETags mean equal bytes.
func (t *tester) strong() string {
	if strings.HasPrefix(t.etag, "W/") {
		return ""
	}
	return t.etag
}

func (t *tester) expectChanged(what string, req filecache.Request) {
	switch _, err := t.fetch(t.ctx, req); {
	case err == nil:
		t.errorf("%s succeeded, want an error that matches filecache.ErrChanged: bytes of two versions would be mixed", what)
	case !errors.Is(err, filecache.ErrChanged):
		t.errorf("%s: the error does not match filecache.ErrChanged: %w", what, err)
	case errors.Is(err, fs.ErrNotExist):
		t.errorf("%s: the error matches fs.ErrNotExist too: %w", what, err)
	}
}

func (t *tester) ranges() {
	n := len(t.content)
	for _, x := range []struct {
		off, length int
		end         int
	}{
		{0, 1, 1}, {0, n / 2, n / 2}, {2, 4, 6}, {n / 2, 0, n}, {n - 1, 0, n}, {n - 2, 100, n}, {0, n, n}, {0, n + 100, n},
	} {
		req := filecache.Request{Offset: int64(x.off), Length: int64(x.length), IfMatch: t.strong()}
		what := fmt.Sprintf("the range with Offset %d and Length %d of %d bytes", x.off, x.length, n)
		if t.origin.NoRanges {
			if _, err := t.fetch(t.ctx, req); err == nil {
				t.errorf("%s: Fetch succeeded, but with Origin.NoRanges it must fail", what)
			}
			continue
		}
		if a, ok := t.expect(what, req, x.off, x.end); ok && a.ETag != t.etag {
			t.errorf("%s: ETag is %q, want that of the whole object, %q", what, a.ETag, t.etag)
		}
	}
	switch a, err := t.fetch(t.ctx, filecache.Request{Offset: int64(n) + 10, Length: 1}); {
	case err == nil && len(a.body) > 0:
		t.errorf("the range past the end has %d bytes, want an error", len(a.body))
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, filecache.ErrChanged):
		t.errorf("the range past the end: the error matches fs.ErrNotExist or filecache.ErrChanged: %w", err)
	}
}

func (t *tester) newConnection() {
	t.expect("Fetch with NewConnection", filecache.Request{NewConnection: true}, 0, len(t.content))
}

func (t *tester) concurrency() {
	if len(t.errs) > 0 { // they would cause failures here too
		return
	}
	const calls = 8
	var wrong [calls]error
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			req, want := filecache.Request{}, t.content
			if !t.origin.NoRanges {
				req, want = filecache.Request{Offset: int64(i), Length: 8}, t.content[i:i+8]
			}
			a, err := t.fetch(t.ctx, req)
			if err = cmp.Or(err, a.err); err == nil && !bytes.Equal(a.body, want) {
				err = errors.New("the Body has other bytes than the object")
			}
			wrong[i] = err
		})
	}
	wg.Wait()
	if err := cmp.Or(wrong[:]...); err != nil {
		t.errorf("concurrent calls of Fetch: %w", err)
	}
}

func (t *tester) canceled() {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	_, err := t.fetch(ctx, filecache.Request{})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.errorf("Fetch with a canceled context: the error does not match context.Canceled: %w", err)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, filecache.ErrChanged) {
		t.errorf("Fetch with a canceled context: the error matches what says something of the object: %w", err)
	}
}

// cache reads the object through a Cache.
func (t *tester) cache() {
	dir, err := os.MkdirTemp("", "objecttest-")
	if err != nil {
		t.errorf("cannot create a directory for a Cache: %w", err)
		return
	}
	defer os.RemoveAll(dir)
	files, err := filecache.New(filecache.Options{Dir: dir})
	if err != nil {
		t.errorf("cannot create a Cache: %w", err)
		return
	}
	for range 2 {
		if b, err := files.ReadFile(t.ctx, t.obj); err != nil || !bytes.Equal(b, t.content) {
			t.errorf("through a Cache, ReadFile returned %d bytes (right: %v) and the error %v", len(b), bytes.Equal(b, t.content), err)
		}
	}
	if s := files.Stats(); t.size >= 0 && s.Faults == 0 && s.Misses != 1 && (t.etag != "" || t.immutable()) {
		t.errorf("never revalidates: through a Cache, two calls of ReadFile downloaded the object %d times", s.Misses)
	}
}
