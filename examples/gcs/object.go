// Package gcs implements objects of a filecache.Cache for Google Cloud Storage,
// with Google's client. It is an example of a filecache.Object for a service that
// the library does not support. Copy it.
//
//	hc, _, err := htransport.NewClient(ctx, option.WithScopes(storage.ScopeReadOnly))
//	hc.Transport = gcs.Transport{RoundTripper: hc.Transport}
//	client, err := storage.NewClient(ctx, option.WithHTTPClient(hc), storage.WithJSONReads())
//	models := gcs.Bucket{Handle: client.Bucket("models")}
//	f, err := files.Open(ctx, models.Object("prices-eu.bin"))
//
// The client's retries are disabled for these reads. filecache resumes interrupted
// downloads itself, with a limit and a check that the object has not changed, and
// serves a stale copy while the service is down. Two settings are needed.
// RetryNever, which Object sets, ends the retries of a request. A Reader would
// still fetch the rest of an interrupted body, any number of times; [Transport]
// refuses these requests.
//
// WithJSONReads is also required. By default the client reads over the XML API and
// ignores the condition that avoids downloading an unchanged object again.
package gcs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/warmcache/warmcache/filecache"
)

// Bucket is a bucket of objects.
type Bucket struct {
	Handle *storage.BucketHandle // from a client with a Transport and WithJSONReads
}

// Object returns the current generation of the object with that name.
func (b Bucket) Object(name string) filecache.Object { return object{b.Handle, name} }

type object struct {
	bucket *storage.BucketHandle
	name   string
}

// ID implements filecache.Object.
func (o object) ID() (filecache.ID, error) {
	if o.bucket == nil || o.name == "" {
		return filecache.ID{}, errors.New("gcs: Bucket.Handle or the name of the object is missing")
	}
	return filecache.ID{Origin: "gs://" + o.bucket.BucketName(), Name: o.name}, nil
}

// Fetch implements filecache.Object. Its ETag is the generation number, which
// changes with the content.
func (o object) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	handle := o.bucket.Object(o.name).Retryer(storage.WithPolicy(storage.RetryNever))
	if req.IfMatch != "" {
		generation, ok := generationOf(req.IfMatch)
		if !ok {
			return nil, filecache.ErrChanged
		}
		handle = handle.If(storage.Conditions{GenerationMatch: generation})
	}
	if generation, ok := generationOf(req.IfNoneMatch); ok {
		handle = handle.If(storage.Conditions{GenerationNotMatch: generation})
	}
	length := req.Length
	if length == 0 {
		length = -1 // up to the end
	}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, fetchKey{}, &fetch{newConnection: req.NewConnection}))
	r, err := handle.NewRangeReader(ctx, req.Offset, length)
	if err != nil {
		cancel()
		return answer(err, req)
	}
	resp, err := response(r, req)
	if err != nil {
		cancel()
		r.Close()
		return nil, err
	}
	resp.Body = &body{r: r, cancel: cancel}
	return resp, nil
}

func response(r *storage.Reader, req filecache.Request) (*filecache.Response, error) {
	part := req.Offset > 0 || req.Length > 0
	end := r.Attrs.Size
	if req.Length > 0 {
		end = min(end, req.Offset+req.Length)
	}
	if part && (r.Attrs.Decompressed || r.Attrs.StartOffset != req.Offset || r.Remain() != end-req.Offset) {
		return nil, errors.New("gcs: the service did not send the requested range; if it decompresses the object, store the object without Content-Encoding")
	}
	resp := &filecache.Response{
		Size:         r.Attrs.Size, // -1 if the service decompressed it
		Framed:       true,         // HTTP/2 and chunked encoding mark the end
		ETag:         strconv.Quote(strconv.FormatInt(r.Attrs.Generation, 10)),
		LastModified: r.Attrs.LastModified,
	}
	if !r.Attrs.Decompressed && r.Attrs.CRC32C != 0 { // zero: unknown
		resp.Checksums = []filecache.Checksum{{
			Algorithm: filecache.CRC32C, Sum: binary.BigEndian.AppendUint32(nil, r.Attrs.CRC32C),
		}}
	}
	return resp, nil
}

// generationOf returns the generation that Fetch encoded in an ETag.
func generationOf(etag string) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(etag, `"`), 10, 64)
	return n, err == nil && n > 0
}

// answer maps the client's errors for 304, 412 and 404 to those of package
// filecache.
func answer(err error, req filecache.Request) (*filecache.Response, error) {
	api, _ := errors.AsType[*googleapi.Error](err)
	switch {
	case api != nil && api.Code == http.StatusNotModified && req.IfNoneMatch != "":
		return &filecache.Response{NotModified: true}, nil
	case api != nil && api.Code == http.StatusPreconditionFailed:
		return nil, fmt.Errorf("%w: %w", filecache.ErrChanged, err)
	case errors.Is(err, storage.ErrObjectNotExist):
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	return nil, failure{err}
}

// failure wraps an error and never matches fs.ErrNotExist. Otherwise a missing
// credentials file would be mistaken for a missing object.
type failure struct{ error }

func (f failure) Is(target error) bool {
	return target != fs.ErrNotExist && errors.Is(f.error, target)
}

// body is a Reader that can be closed during a Read.
type body struct {
	cancel context.CancelFunc
	mu     sync.Mutex
	r      *storage.Reader
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Read(p)
}

func (b *body) Close() error {
	b.cancel() // interrupts a Read
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Close()
}

// Transport sends one request for each Fetch of an Object. It refuses a second one,
// with which a Reader would resume. It sends all other requests unchanged.
type Transport struct{ http.RoundTripper }

type fetchKey struct{}

// fetch marks the context of a Fetch for the Transport.
type fetch struct {
	newConnection bool
	sent          atomic.Bool
}

var errOneRequest = errors.New("gcs: the body broke off")

// RoundTrip implements http.RoundTripper.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if f, ok := r.Context().Value(fetchKey{}).(*fetch); ok {
		if f.sent.Swap(true) {
			return nil, errOneRequest
		}
		if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok && f.newConnection {
			c.CloseIdleConnections()
		}
	}
	return t.RoundTripper.RoundTrip(r)
}
