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
//     chunked encoding, HTTP/2 or a checksum shows where it ends. Compressed transfer
//     is not requested, and an object that is stored with a Content-Encoding stays
//     encoded, unless the server decodes it.
//   - S3 tells its checksum only if the URL was presigned with ChecksumMode: a
//     header that was not signed would make S3 refuse the request.
//   - Whatever a CDN answers for its origin counts as current.
//   - The path of a URL is part of its identity and is shown. If it is a secret,
//     use Source.Named.
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
	// After a request without an answer, the idle connections of Client are closed,
	// and a new one is used. That needs a Transport that is an *http.Transport; of
	// another one, only the method CloseIdleConnections is called, if it has that.
	//
	// A client that adds credentials of its own makes the answers depend on more
	// than the URL: give Source.Named a name that tells them apart.
	Client *http.Client

	// MaxSize is the size in bytes of the largest object that is fetched. Zero means
	// 10 GiB, the largest /tmp of AWS Lambda. If it is negative, the call that uses
	// the Object returns an error.
	MaxSize int64
}

const defaultMaxSize = 10 << 30

// Object returns the object at the URL. It sends no request. If the URL cannot be
// used, the call that uses the Object returns an error.
//
// A versionId in the query, as S3 has it, pins the bytes: they are fetched once. All
// other parameters except those of a known signature are part of the identity, and
// so is a user name, but not the password.
func (s Source) Object(url string) filecache.Object { return s.object(url, nil) }

// Named returns the object at the URL, under an identity that the caller gives: for
// URLs with a signature of an unknown form, with a secret in the path, or of
// several hosts that serve the same object. The name is shown in errors, and must
// contain everything that the bytes depend on.
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
		// No URL has this origin. A version still is another object.
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
