package s3source

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/warmcache/warmcache/filecache"
)

// Fetch implements filecache.Object.
func (o object) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	out, c, err := o.get(ctx, req)
	if err != nil {
		return o.failure(err, req)
	}
	resp, err := o.response(out, c, req)
	if err != nil {
		out.Body.Close()
		return nil, err
	}
	return resp, nil
}

// refusers are the origins that refuse requests for a checksum.
var refusers sync.Map

// get sends the request. If the service refuses the checksum header, get sends the
// request again without it. If that succeeds, later requests to the bucket omit the
// header.
func (o object) get(ctx context.Context, req filecache.Request) (*s3.GetObjectOutput, *call, error) {
	origin, err := o.bucket.origin()
	if err != nil {
		return nil, nil, err
	}
	_, refuses := refusers.Load(origin)
	c := &call{bucket: o.bucket, dial: req.NewConnection, plain: refuses}
	out, err := o.bucket.Client.GetObject(ctx, o.input(req), c.options)
	if !c.withMode || !mayBeRefusal(err) {
		return out, c, err
	}
	c = &call{bucket: o.bucket, dial: req.NewConnection, plain: true}
	out, again := o.bucket.Client.GetObject(ctx, o.input(req), c.options)
	if answered(again) && !mayBeRefusal(again) {
		refusers.Store(origin, true)
		return out, c, again
	}
	return nil, nil, err
}

func (o object) input(req filecache.Request) *s3.GetObjectInput {
	return &s3.GetObjectInput{
		Bucket:      &o.bucket.Name,
		Key:         &o.key,
		VersionId:   optional(o.version),
		IfNoneMatch: optional(req.IfNoneMatch),
		IfMatch:     optional(req.IfMatch),
		Range:       optional(rangeHeader(req)),
	}
}

// A call is one GetObject.
type call struct {
	bucket   Bucket
	dial     bool  // whether to open a new connection
	plain    bool  // whether to omit the checksum header
	withMode bool  // whether that header was sent
	wire     *wire // the body of the answer; nil if the Client ignores options
}

// options sets the options of the request. It switches off the SDK's verification,
// which covers less than filecache's, reports only after the last byte, takes twice
// the time of the download for CRC64NVME, and logs a warning for objects that it
// does not cover.
func (c *call) options(o *s3.Options) {
	o.DisableLogOutputChecksumValidationSkipped = true
	switch {
	case c.plain:
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	case o.ResponseChecksumValidation != aws.ResponseChecksumValidationWhenRequired:
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenSupported
		c.withMode = true
	}
	o.HTTPClient = c.bucket.connect(o.HTTPClient, c.dial)
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], func(s *middleware.Stack) error {
		s.Deserialize.Remove("AWSChecksum:ValidateOutputPayloadChecksum")
		return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("warmcache:wire", c.intercept), middleware.After)
	})
}

// response converts out into a Response after checking that it answers req.
func (o object) response(out *s3.GetObjectOutput, c *call, req filecache.Request) (*filecache.Response, error) {
	raw := rawResponse(out, c)
	if err := checkRange(out, raw, req); err != nil {
		return nil, err
	}
	resp := &filecache.Response{
		Body:         out.Body,
		Size:         totalSize(out),
		Framed:       framed(raw),
		ETag:         aws.ToString(out.ETag),
		LastModified: aws.ToTime(out.LastModified),
		Checksums:    checksums(out),
	}
	switch {
	case out.Body == c.wire: // no middleware changed it
		resp.Body = c.wire.ReadCloser
	case replaced(out, c, raw):
		if out.ContentRange != nil {
			return nil, errors.New("s3source: the client's middleware changes the body, so ranges of it cannot be fetched")
		}
		// Length and checksums belong to other bytes.
		resp.Size, resp.Checksums, resp.Framed = -1, nil, c.wire != nil
		if c.wire != nil {
			resp.Body = &changed{out.Body, c.wire}
		}
	}
	if raw != nil && out.ContentRange == nil && resp.Size > 0 && raw.ContentLength != 0 && raw.ContentLength != resp.Size {
		// A transport that changes the body updates this field and not the header.
		resp.Size, resp.Checksums = raw.ContentLength, nil
	}
	return resp, nil
}

func rangeHeader(r filecache.Request) string {
	switch {
	case r.Length > 0:
		return fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		return fmt.Sprintf("bytes=%d-", r.Offset)
	}
	return ""
}

// checkRange returns an error unless the body begins at the requested offset. A
// server may ignore a range and send the whole object.
func checkRange(out *s3.GetObjectOutput, raw *smithyhttp.Response, req filecache.Request) error {
	want, got := rangeHeader(req), aws.ToString(out.ContentRange)
	isPart := raw != nil && raw.StatusCode == http.StatusPartialContent
	if want == "" && got == "" && !isPart {
		return nil
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(got, "bytes "), "-")
	if want != "" && first == strconv.FormatInt(req.Offset, 10) {
		return nil
	}
	return fmt.Errorf("s3source: requested range %q, got %s", want, shown(got))
}

// shown formats a Content-Range for an error. A server may put anything into it,
// including a signature from the request.
func shown(contentRange string) string {
	switch {
	case contentRange == "":
		return "no Content-Range"
	case len(contentRange) > 100 || strings.Trim(strings.TrimPrefix(contentRange, "bytes "), "0123456789-/*") != "":
		return "a Content-Range that is not one of bytes"
	}
	return strconv.Quote(contentRange)
}

// totalSize returns the size of the whole object, or -1 if it is unknown.
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

// checksums returns the checksums of the whole object.
func checksums(out *s3.GetObjectOutput) (sums []filecache.Checksum) {
	if out.ChecksumType == types.ChecksumTypeComposite || out.ContentRange != nil {
		return nil
	}
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
		// A value such as "…-3" is composite even without the type. It is not base64.
		sum, err := base64.StdEncoding.DecodeString(aws.ToString(c.value))
		if err == nil && len(sum) == c.algorithm.Size() {
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
