// Package s3source makes Amazon S3 objects into objects of a filecache.Cache.
//
//	models := s3source.Bucket{Client: client, Name: "models"}
//	f, err := files.Open(ctx, models.Object("prices-eu.bin"))
//
// A small object costs one request, and a current local copy a conditional one
// that transfers nothing. The bytes are verified by the checksum that S3 has of
// the whole object (CRC64NVME, CRC32, CRC32C, SHA1 or SHA256), which the SDK does
// only in some cases; objects without one, and those whose checksum is of their
// parts, are verified by length.
package s3source

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/warmcache/warmcache/filecache"
)

// Client is the part of *s3.Client that is used.
type Client interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Bucket is a bucket to take objects from. It may be copied, and is safe for
// concurrent use.
type Bucket struct {
	Client Client // usually an *s3.Client. Required
	Name   string // Required

	// Endpoint tells apart buckets of the same name at different services. If
	// it is empty and Client is an *s3.Client, its BaseEndpoint is used.
	Endpoint string
}

// Object returns the current version of the object with that key. It asks
// nothing; a missing part of b or an empty key is an error of what it is used for.
func (b Bucket) Object(key string) filecache.Object { return object{b, key, ""} }

// Version returns one version of the object in a bucket with versioning. Its
// bytes never change, so a local copy is used without asking again.
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
	origin := o.bucket.origin()
	if o.version == nullVersion {
		// A place of its own, and not a Version: its bytes can change.
		return filecache.ID{Origin: origin + "?versionId=" + nullVersion, Name: o.key}, nil
	}
	return filecache.ID{Origin: origin, Name: o.key, Version: o.version}, nil
}

// nullVersion is the version that S3 gives to objects while versioning is off, and
// overwrites.
const nullVersion = "null"

func (b Bucket) origin() string {
	endpoint := b.Endpoint
	if endpoint == "" {
		endpoint = endpointOf(b.Client)
	}
	if endpoint == "" {
		return "s3://" + b.Name
	}
	return "s3+" + strings.TrimSuffix(withoutUser(endpoint), "/") + "/" + b.Name
}

// withoutUser takes a user and password out of an endpoint: an ID has no secrets.
func withoutUser(endpoint string) string {
	scheme := ""
	if i := strings.Index(endpoint, "://"); i >= 0 {
		scheme, endpoint = endpoint[:i+3], endpoint[i+3:]
	}
	host, _, _ := strings.Cut(endpoint, "/")
	return scheme + endpoint[strings.LastIndex(host, "@")+1:]
}

// lastClient is the one that was last asked for its endpoint, which never changes:
// the SDK copies all options for the asking. Functions have one client as a rule.
var lastClient atomic.Pointer[struct {
	client   *s3.Client
	endpoint string
}]

func endpointOf(client Client) string {
	c, ok := client.(*s3.Client)
	if !ok {
		if c, ok := client.(interface{ Options() s3.Options }); ok {
			return aws.ToString(c.Options().BaseEndpoint)
		}
		return ""
	}
	last := lastClient.Load()
	if last == nil || last.client != c {
		last = &struct {
			client   *s3.Client
			endpoint string
		}{c, aws.ToString(c.Options().BaseEndpoint)}
		lastClient.Store(last)
	}
	return last.endpoint
}

// Fetch implements filecache.Object.
func (o object) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	in := &s3.GetObjectInput{
		Bucket:       &o.bucket.Name,
		Key:          &o.key,
		VersionId:    optional(o.version),
		IfNoneMatch:  optional(req.IfNoneMatch),
		IfMatch:      optional(req.IfMatch),
		Range:        optional(rangeHeader(req)),
		ChecksumMode: types.ChecksumModeEnabled,
	}
	out, err := o.bucket.Client.GetObject(ctx, in, quiet)
	if err != nil {
		return failure(err, req.IfNoneMatch)
	}
	if err := checkRange(out, req); err != nil {
		out.Body.Close()
		return nil, err
	}
	return &filecache.Response{
		Body:         out.Body,
		Size:         totalSize(out),
		ETag:         aws.ToString(out.ETag),
		LastModified: aws.ToTime(out.LastModified),
		Checksums:    checksums(out),
	}, nil
}

// quiet takes out the SDK's own verification. It covers less than ours, comes
// after the last byte, takes twice the time of the download for CRC64NVME, and
// warns in the log of objects that it does not cover.
func quiet(o *s3.Options) {
	o.DisableLogOutputChecksumValidationSkipped = true
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(s *middleware.Stack) error {
		s.Deserialize.Remove("AWSChecksum:ValidateOutputPayloadChecksum")
		return nil
	})
}

// failure translates errors by their HTTP status: the SDK has no type for some,
// and their codes differ between servers. 403 may mean that there is no such
// object, or that nobody may know: that is not a reason to drop a copy.
func failure(err error, asked string) (*filecache.Response, error) {
	var re *smithyhttp.ResponseError
	if !errors.As(err, &re) || re.Response == nil {
		return nil, local{err}
	}
	switch re.HTTPStatusCode() {
	case http.StatusNotModified:
		// Some servers leave out the ETag.
		if got := re.Response.Header.Get("ETag"); got != "" && strings.TrimPrefix(got, "W/") != strings.TrimPrefix(asked, "W/") {
			return nil, local{fmt.Errorf("s3source: not modified is %s, the question was %q: %w", got, asked, err)}
		}
		return &filecache.Response{NotModified: true}, nil
	case http.StatusNotFound:
		var api smithy.APIError
		if errors.As(err, &api) && api.ErrorCode() == "NoSuchBucket" {
			return nil, local{err} // a mistake, and not an object that was deleted
		}
		return nil, both{fs.ErrNotExist, err}
	case http.StatusPreconditionFailed:
		return nil, both{filecache.ErrChanged, err}
	}
	return nil, local{err}
}

// both is the SDK's error, and also matches what it means.
type both struct{ meaning, err error }

func (b both) Error() string   { return b.err.Error() }
func (b both) Unwrap() []error { return []error{b.meaning, b.err} }

// local is an SDK's error that says nothing about the object. It may be about a
// file that does not exist, such as one with credentials: that must not be taken
// for an object that does not exist.
type local struct{ err error }

func (l local) Error() string { return l.err.Error() }

func (l local) Is(target error) bool {
	return target != fs.ErrNotExist && target != filecache.ErrChanged && errors.Is(l.err, target)
}

func (l local) As(target any) bool { return errors.As(l.err, target) }

func rangeHeader(r filecache.Request) string {
	switch {
	case r.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return ""
}

// checkRange makes sure that the body begins where it was asked to: a server may
// ignore a range and send the whole.
func checkRange(out *s3.GetObjectOutput, req filecache.Request) error {
	asked, got := rangeHeader(req), aws.ToString(out.ContentRange)
	if asked == "" && got == "" && !isPart(out) {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(got, "bytes "), "-")
	if asked != "" && first == strconv.FormatInt(req.Offset, 10) {
		return nil
	}
	return fmt.Errorf("s3source: asked for range %q, got %q", asked, got)
}

// isPart reports whether the answer calls itself a part, which the SDK does not tell.
func isPart(out *s3.GetObjectOutput) bool {
	resp, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
	return ok && resp.StatusCode == http.StatusPartialContent
}

// totalSize returns the size of the whole object, or -1 if the answer does not
// say it: without a length, a cut body looks complete.
func totalSize(out *s3.GetObjectOutput) int64 {
	if out.ContentRange != nil {
		_, total, _ := strings.Cut(*out.ContentRange, "/")
		n, err := strconv.ParseInt(total, 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	if out.ContentLength == nil {
		return -1
	}
	return *out.ContentLength
}

// checksums returns those of the whole object.
func checksums(out *s3.GetObjectOutput) []filecache.Checksum {
	if out.ChecksumType == types.ChecksumTypeComposite || out.ContentRange != nil {
		return nil
	}
	var sums []filecache.Checksum
	for _, c := range []struct {
		algorithm filecache.Algorithm
		value     *string
	}{
		{filecache.CRC64NVME, out.ChecksumCRC64NVME},
		{filecache.CRC32, out.ChecksumCRC32},
		{filecache.CRC32C, out.ChecksumCRC32C},
		{filecache.SHA256, out.ChecksumSHA256},
		{filecache.SHA1, out.ChecksumSHA1},
	} {
		// A value with a dash and a number of parts is composite, whatever the type says.
		sum, err := base64.StdEncoding.DecodeString(aws.ToString(c.value))
		if err == nil && len(sum) > 0 {
			sums = append(sums, filecache.Checksum{Algorithm: c.algorithm, Sum: sum})
		}
	}
	return sums
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
