// Package httpsource makes http and https URLs, also presigned ones, into objects
// of a filecache.Cache.
//
//	f, err := files.Open(ctx, httpsource.Source{}.Object(url))
//
// Presigned URLs of S3, Google Cloud Storage, Azure and CloudFront that differ
// only in their signature are one object, so a renewed URL finds the copy that an
// earlier one fetched. No query parameter, user name or password reaches the
// disk or an error in the clear.
//
// A request that gets 429, 500, 502, 503 or 504, or whose connection breaks before
// the answer, is sent up to two more times within about a second. A Retry-After is
// honored up to 5 seconds, and never beyond half of the time that the context has
// left.
//
// Caveats:
//   - A fresh copy is served without a request, so without a check of the
//     signature. A URL that a client sent does not prove that the client may read
//     it.
//   - An answer without Content-Length is fetched in one piece. It is kept if
//     chunked encoding, HTTP/2 or a checksum shows that it is complete. Fetch does
//     not request compression, and an object with a Content-Encoding stays encoded
//     unless the server decodes it.
//   - S3 sends its checksum only if the URL was presigned with ChecksumMode: S3
//     refuses requests with an unsigned header.
//   - A CDN's cached answer counts as current.
//   - The path of a URL is part of its identity and is shown. If it is a secret,
//     use [Source.Named].
package httpsource

import (
	"errors"
	"net/http"

	"github.com/warmcache/warmcache/filecache"
)

// Source fetches URLs. The zero Source is ready to use. It may be copied, and is
// safe for concurrent use.
type Source struct {
	// Client sends the requests. Nil means one with http.DefaultTransport that
	// waits at most 30 seconds for the header of an answer, and as long as the
	// context allows for the body. Set such limits for a Client of your own:
	// http.Transport.ResponseHeaderTimeout, and HTTP2.SendPingTimeout for connections
	// that died in a freeze.
	//
	// After a request without an answer, the idle connections of Client are closed
	// and the next request opens a new one. That requires a Transport of type
	// *http.Transport. Of other types only CloseIdleConnections is called, if they
	// have it.
	//
	// If Client adds credentials, the answers depend on more than the URL: pass
	// [Source.Named] a name that includes the user.
	Client *http.Client

	// MaxSize is the size in bytes of the largest object that is fetched. Zero means
	// 10 GiB, the largest /tmp of AWS Lambda. If it is negative, the call that uses
	// the Object returns an error.
	MaxSize int64
}

const defaultMaxSize = 10 << 30

// Object returns the object at url. It sends no request. If url is invalid, the call
// that uses the Object returns an error.
//
// S3's versionId in the query pins the bytes: they are fetched once. The identity
// includes all other parameters except those of a known signature. It includes the
// user name but not the password.
func (s Source) Object(url string) filecache.Object { return s.object(url, nil) }

// Named returns the object at url under the identity name. Use it for URLs with an
// unknown kind of signature, with a secret in the path, or on several hosts that
// serve the same object. The name must include everything that the bytes depend on.
// It is shown in errors.
func (s Source) Named(name, url string) filecache.Object { return s.object(url, &name) }

func (s Source) object(rawURL string, name *string) filecache.Object {
	o := &object{source: s}
	o.url, o.err = parse(rawURL)
	switch {
	case o.err != nil:
	case s.MaxSize < 0:
		o.err = errors.New("httpsource: Source.MaxSize is negative")
	case name == nil:
		o.id = identify(o.url)
	case *name == "":
		o.err = errors.New("httpsource: the name for the URL is empty")
	default:
		// No URL has this origin. Versions remain different objects.
		o.id = filecache.ID{Origin: "httpsource", Name: *name, Version: identify(o.url).Version}
	}
	return o
}

func (s Source) maxSize() int64 {
	if s.MaxSize == 0 {
		return defaultMaxSize
	}
	return s.MaxSize
}
