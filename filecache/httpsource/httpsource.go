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
// Caveats:
//   - A copy that is fresh is handed out without asking the server, so without a
//     look at the signature. A URL that a client sent is no proof that it may.
//   - The server must send Content-Length. Compressed transfer is not asked for,
//     and an object that is stored with a Content-Encoding stays encoded.
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

// Source is a way to get at URLs. The zero Source is usable. It may be copied,
// and is safe for concurrent use.
type Source struct {
	// Client sends the requests. Nil means one with http.DefaultTransport that
	// waits at most 30 seconds for the header of an answer, and as long as the
	// context allows for the body.
	//
	// A client that adds credentials of its own makes the answers depend on more
	// than the URL: give Source.Named a name that tells them apart.
	Client *http.Client

	// MaxSize is the size in bytes of the largest object that is taken. Zero
	// means 10 GiB, the largest /tmp of AWS Lambda. Negative is an error of
	// what the Source is used for.
	MaxSize int64
}

const defaultMaxSize = 10 << 30

// Object returns what the URL names. It asks nothing; a URL that cannot be used
// is an error of what the Object is used for.
//
// A versionId in the query, as S3 has it, pins the bytes: they are never asked
// for again. All other parameters but those of a known signature are part of the
// identity, and so is a user name, but no password.
func (s Source) Object(url string) filecache.Object { return s.object(url, nil) }

// Named returns what the URL names, under an identity that the caller gives: for
// URLs with a signature of an unknown form, with a secret in the path, or of
// several hosts that serve the same. Name is shown in errors, and everything that
// the bytes depend on must be in it.
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
