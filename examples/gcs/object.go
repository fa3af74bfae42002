// Package gcs makes objects of Google Cloud Storage into objects of a
// filecache.Cache, over Google's own client. It shows how to write a
// filecache.Object for a service that the library has no package for; copy it.
//
//	hc, _, err := htransport.NewClient(ctx, option.WithScopes(storage.ScopeReadOnly))
//	hc.Transport = gcs.Transport{RoundTripper: hc.Transport}
//	client, err := storage.NewClient(ctx, option.WithHTTPClient(hc), storage.WithJSONReads())
//	models := gcs.Bucket{Handle: client.Bucket("models")}
//	f, err := files.Open(ctx, models.Object("prices-eu.bin"))
//
// The client's retries are switched off for these reads: filecache resumes broken
// downloads itself, with a bound and a check that the object is still the same, and
// serves a stale copy when the service is down. Two switches are needed. RetryNever,
// which Object sets, ends the retries of a request. A Reader still fetches the rest
// of a body that breaks off, again and again; [Transport] refuses that.
//
// WithJSONReads is needed as well: by default the client reads over the XML API and
// drops the condition that saves the transfer of a current copy.
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

// Bucket is a bucket to fetch objects from.
type Bucket struct {
	Handle *storage.BucketHandle // of a client with a Transport and WithJSONReads
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

// Fetch implements filecache.Object. The number of the generation, which changes
// with the bytes, is the ETag.
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
		length = -1 // to the end
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
		return nil, errors.New("gcs: the service sent something else than the range, as it does of objects that it decompresses")
	}
	resp := &filecache.Response{
		Size:         r.Attrs.Size, // -1 if it was decompressed on the way
		Framed:       true,         // HTTP/2 and chunks mark the end
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

// generationOf returns the generation that an ETag of ours stands for.
func generationOf(etag string) (int64, bool) {
	n, err := strconv.ParseInt(strings.Trim(etag, `"`), 10, 64)
	return n, err == nil && n > 0
}

// answer turns those errors of the client that are answers into what they mean.
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

// failure is an error that says nothing about the object. A credentials file that
// is missing must not be taken for an object that is.
type failure struct{ error }

func (f failure) Is(target error) bool {
	return target != fs.ErrNotExist && errors.Is(f.error, target)
}

// body is a Reader that may be closed while a Read waits.
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
	b.cancel() // ends a Read
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.r.Close()
}

// Transport sends one request for each Fetch of an Object, and refuses another, by
// which a Reader would resume. Other requests pass.
type Transport struct{ http.RoundTripper }

type fetchKey struct{}

// fetch is what a context tells the Transport.
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
