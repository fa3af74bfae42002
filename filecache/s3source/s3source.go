// Package s3source makes Amazon S3 objects into objects of a filecache.Cache.
//
//	models := s3source.Bucket{Client: client, Name: "models"}
//	f, err := files.Open(ctx, models.Object("prices-eu.bin"))
//
// A small object costs one request. Revalidating a current copy costs a conditional
// request that transfers nothing. The bytes are verified by S3's checksum of the whole
// object (CRC64NVME, CRC32, CRC32C, SHA1 or SHA256), which the SDK does only in some
// cases. Objects without one, and objects with a checksum of their parts (COMPOSITE),
// are verified by length.
//
// Caveats:
//   - A fresh copy is served without a request, so without S3's check of the
//     credentials. If the clients of one Cache have different permissions, set
//     [Bucket.Scope].
//   - A client whose middleware changes the bytes, such as Amazon's S3 encryption
//     client, works: the copy on disk has the changed (decrypted) bytes. It is
//     fetched in one piece, and needs a Bucket.Endpoint and a Bucket.Scope of its
//     own.
//   - After a request without an answer, filecache requests a new connection. That
//     works if the client's HTTPClient is the SDK's own, or an *http.Client with an
//     *http.Transport. For another one, set the time limits of its transport:
//     ResponseHeaderTimeout, and HTTP2.SendPingTimeout for connections that died in
//     a freeze.
package s3source

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
)

// Client is the part of *s3.Client that this package uses.
//
// The client's options apply, with two exceptions. The SDK's own verification of the
// body is off, since filecache verifies more. An unset ResponseChecksumValidation
// means WhenSupported. With WhenRequired, requests do not ask for S3's checksum, and
// the bytes are verified by length.
type Client interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Bucket is an S3 bucket. It may be copied and is safe for concurrent use.
type Bucket struct {
	Client Client // usually an *s3.Client. Required
	Name   string // Required

	// Endpoint distinguishes buckets of the same name at different services. It is
	// not sent anywhere. Empty means the BaseEndpoint of Client, or AWS if it has
	// none. It is required if the endpoint of Client is unknown: if Client has no
	// method Options like that of *s3.Client, or if it has an endpoint resolver of
	// its own. For AWS, any name is valid, such as "aws".
	Endpoint string

	// Scope distinguishes clients that have different permissions or that change the
	// bytes. Copies of one scope are never served to another. If clients with
	// different permissions share a Cache or its directory, set Scope to the name of
	// the role or tenant. It must not be a secret: it is stored on disk and shown in
	// errors. Empty is a scope too.
	Scope string
}

// Object returns the object key in its current version. It sends no request. If b is
// incomplete or key is empty, the call that uses the Object returns an error.
func (b Bucket) Object(key string) filecache.Object { return object{b, key, ""} }

// Version returns one version of the object key, in a bucket with versioning. Its
// bytes never change, so a local copy is used without a request. If that version is
// a delete marker, the error matches [fs.ErrNotExist].
func (b Bucket) Version(key, versionID string) filecache.Object { return object{b, key, versionID} }

type object struct {
	bucket       Bucket
	key, version string
}

// ID implements filecache.Object.
func (o object) ID() (filecache.ID, error) {
	switch {
	case o.bucket.Client == nil, o.bucket.Client == Client((*s3.Client)(nil)):
		return filecache.ID{}, errors.New("s3source: Bucket.Client is nil")
	case o.bucket.Name == "":
		return filecache.ID{}, errors.New("s3source: Bucket.Name is empty")
	case o.key == "":
		return filecache.ID{}, fmt.Errorf("s3source: the key of an object in bucket %q is empty", o.bucket.Name)
	}
	origin, err := o.bucket.origin()
	if err != nil {
		return filecache.ID{}, err
	}
	if o.version == nullVersion {
		// A different origin and not a Version, because its bytes can change.
		return filecache.ID{Origin: origin + "?versionId=" + nullVersion, Name: o.key}, nil
	}
	return filecache.ID{Origin: origin, Name: o.key, Version: o.version}, nil
}

// nullVersion is the version of objects that were written while versioning was off.
// S3 overwrites it.
const nullVersion = "null"

// origin returns the Origin of the bucket's objects: service, name and scope.
func (b Bucket) origin() (string, error) {
	service := b.Endpoint
	if service == "" {
		var known bool
		if service, known = serviceOf(b.Client); !known {
			return "", fmt.Errorf("s3source: the endpoint of bucket %q is unknown: %T has no method Options that shows it; set Bucket.Endpoint", b.Name, b.Client)
		}
	}
	origin := "s3://" + b.Name
	if service != "" {
		origin = "s3+" + strings.TrimSuffix(withoutUser(service), "/") + "/" + b.Name
	}
	if b.Scope != "" {
		origin += "?scope=" + url.QueryEscape(b.Scope)
	}
	return origin, nil
}

// withoutUser removes a user and password from an endpoint: an ID has no secrets.
func withoutUser(endpoint string) string {
	scheme := ""
	if i := strings.Index(endpoint, "://"); i >= 0 {
		scheme, endpoint = endpoint[:i+3], endpoint[i+3:]
	}
	host, _, _ := strings.Cut(endpoint, "/")
	return scheme + endpoint[strings.LastIndex(host, "@")+1:]
}
