package s3source

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/minio/crc64nvme"

	"github.com/warmcache/warmcache/filecache"
)

// A wire is the transport's body of an answer, below the client's middleware. If no
// middleware replaces the body, the caller reads the transport's body directly.
type wire struct {
	io.ReadCloser
	resp *smithyhttp.Response

	once   sync.Once
	verify []verifier // fed with all bytes read

	err    error // the first error of Read, including io.EOF
	closed atomic.Bool
}

// intercept is a Deserialize middleware, the one next to the transport.
func (c *call) intercept(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
	middleware.DeserializeOutput, middleware.Metadata, error,
) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	resp, ok := out.RawResponse.(*smithyhttp.Response)
	if err == nil && ok && resp.Body != nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent) {
		c.wire = &wire{ReadCloser: resp.Body, resp: resp}
		resp.Body = c.wire
	}
	return out, metadata, err
}

func (w *wire) Read(p []byte) (int, error) {
	w.once.Do(func() { w.verify = verifiers(w.resp) })
	n, err := w.ReadCloser.Read(p)
	for _, v := range w.verify {
		v.Write(p[:n])
	}
	if w.err == nil {
		w.err = err
	}
	return n, err
}

func (w *wire) Close() error {
	w.closed.Store(true)
	return w.ReadCloser.Close()
}

// finish reads the rest of the body. It returns nil if the body is complete and
// matches the service's checksums, as far as transport and service report them.
func (w *wire) finish() error {
	if w.err == nil && !w.closed.Load() {
		io.Copy(io.Discard, w)
	}
	if w.err != nil && w.err != io.EOF {
		return w.err // the middleware reported it as io.EOF
	}
	for _, v := range w.verify {
		if got := v.Sum(nil); w.err == io.EOF && string(got) != string(v.want.Sum) {
			return fmt.Errorf("s3source: %w: before the client's middleware, %v is %x, expected %x",
				filecache.ErrChecksum, v.want.Algorithm, got, v.want.Sum)
		}
	}
	return nil
}

// changed is a body from the client's middleware. Its Read returns io.EOF only if
// the wire below it is complete.
type changed struct {
	io.ReadCloser
	wire *wire
}

func (c *changed) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if err == io.EOF {
		if broken := c.wire.finish(); broken != nil {
			return n, broken
		}
	}
	return n, err
}

// Close also closes the wire: middleware may not pass Close on.
func (c *changed) Close() error {
	return errors.Join(c.ReadCloser.Close(), c.wire.Close())
}

// rawResponse returns the transport's answer, or nil if the Client hides it.
func rawResponse(out *s3.GetObjectOutput, c *call) *smithyhttp.Response {
	if c.wire != nil {
		return c.wire.resp
	}
	resp, _ := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response)
	return resp
}

// replaced reports whether the Client or its middleware replaced the answer's body.
func replaced(out *s3.GetObjectOutput, c *call, raw *smithyhttp.Response) bool {
	if c.wire != nil {
		return true // out.Body is another
	}
	return raw != nil && raw.Body != nil && !same(out.Body, raw.Body)
}

func same(a, b io.ReadCloser) bool {
	return reflect.TypeOf(a) == reflect.TypeOf(b) && (!reflect.TypeOf(a).Comparable() || a == b)
}

// framed reports whether a cut body is distinguishable from a complete one.
func framed(raw *smithyhttp.Response) bool {
	return raw != nil && (raw.ProtoMajor >= 2 || raw.Uncompressed ||
		len(raw.TransferEncoding) > 0 && raw.TransferEncoding[0] == "chunked")
}

// A verifier computes a checksum that the service announced.
type verifier struct {
	hash.Hash
	want filecache.Checksum
}

func verifiers(resp *smithyhttp.Response) (all []verifier) {
	if resp.StatusCode != http.StatusOK || resp.Header.Get("X-Amz-Checksum-Type") == string(types.ChecksumTypeComposite) {
		return nil
	}
	for _, x := range []struct {
		algorithm filecache.Algorithm
		header    string
		new       func() hash.Hash
	}{
		{filecache.CRC64NVME, "Crc64nvme", func() hash.Hash { return crc64nvme.New() }},
		{filecache.CRC32, "Crc32", func() hash.Hash { return crc32.NewIEEE() }},
		{filecache.CRC32C, "Crc32c", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
		{filecache.SHA256, "Sha256", sha256.New},
		{filecache.SHA1, "Sha1", sha1.New},
	} {
		sum, err := base64.StdEncoding.DecodeString(resp.Header.Get("X-Amz-Checksum-" + x.header))
		if err == nil && len(sum) == x.algorithm.Size() {
			all = append(all, verifier{x.new(), filecache.Checksum{Algorithm: x.algorithm, Sum: sum}})
		}
	}
	return all
}
