package origin

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// oddKey has characters that proxies rewrite.
const oddKey = "a b/ü+%41;x=1?&c/prices.bin"

// newGatedS3 returns a server behind a gate that does not slow it down, and a client through the gate.
func newGatedS3(t testing.TB) (*S3, *Gate, *s3.Client) {
	t.Helper()
	s := newS3(t, childConfig{})
	mustCreateBucket(t, s)
	g := newGate(t, s.Endpoint(), GateOptions{})
	return s, g, s.ClientAt(g.URL())
}

func TestSignedRequestsThroughTheGate(t *testing.T) {
	_, g, client := newGatedS3(t)
	object := Object(12<<20, 1) // more than 2 MiB: the SDK sends Expect: 100-continue
	put, err := client.PutObject(newContext(t), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(oddKey), Body: bytes.NewReader(object),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := g.Counts(), (Counts{1, int64(len(object))}); got != want {
		t.Errorf("PUT: %+v, want %+v", got, want)
	}
	out, body := get(t, client, oddKey)
	if !bytes.Equal(body, object) {
		t.Error("the bytes differ from those that were put")
	}
	if got, want := aws.ToString(out.ChecksumCRC64NVME), crc64NVME(object); got != want {
		t.Errorf("CRC64NVME = %q, want %q", got, want)
	}
	if got, want := aws.ToString(out.ETag), aws.ToString(put.ETag); got != want || got == "" {
		t.Errorf("ETag = %q, want %q", got, want)
	}
	if got := aws.ToInt64(out.ContentLength); got != int64(len(object)) {
		t.Errorf("Content-Length = %d, want %d", got, len(object))
	}
	if got, want := g.Counts(), (Counts{2, 2 * int64(len(object))}); got != want {
		t.Errorf("all: %+v, want %+v", got, want)
	}
}

func TestWrongSignatureThroughTheGate(t *testing.T) {
	s, g, _ := newGatedS3(t)
	s.credentials.SecretAccessKey = "wrong"
	_, err := s.ClientAt(g.URL()).ListBuckets(newContext(t), nil)
	if got := status(err); got != http.StatusForbidden {
		t.Errorf("status = %d, want 403: %v", got, err)
	}
}

func TestConditionalGetThroughTheGate(t *testing.T) {
	s, g, client := newGatedS3(t)
	mustPut(t, s, "a", Object(1000, 1))
	out, _ := get(t, client, "a")
	before := g.Counts()
	_, err := client.GetObject(newContext(t), &s3.GetObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), IfNoneMatch: out.ETag, ChecksumMode: types.ChecksumModeEnabled,
	})
	if got := status(err); got != http.StatusNotModified {
		t.Errorf("status = %d, want 304: %v", got, err)
	}
	if got, want := g.Counts().Sub(before), (Counts{Calls: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestHeadAndRangeThroughTheGate(t *testing.T) {
	s, g, client := newGatedS3(t)
	object := Object(100_000, 1)
	mustPut(t, s, "a", object)
	head, err := client.HeadObject(newContext(t), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("a")})
	if err != nil {
		t.Fatal(err)
	}
	if got := aws.ToInt64(head.ContentLength); got != 100_000 {
		t.Errorf("HEAD: Content-Length = %d", got)
	}
	part, err := client.GetObject(newContext(t), &s3.GetObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("a"), Range: aws.String("bytes=10-19"), IfMatch: head.ETag,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer part.Body.Close()
	if body, err := io.ReadAll(part.Body); err != nil || !bytes.Equal(body, object[10:20]) {
		t.Errorf("range: %x, %v, want %x", body, err, object[10:20])
	}
	if got, want := g.Counts(), (Counts{2, 10}); got != want {
		t.Errorf("HEAD and GET: %+v, want %+v", got, want)
	}
}

func TestPresignedGetThroughTheGate(t *testing.T) {
	s, g, client := newGatedS3(t)
	object := Object(1000, 1)
	mustPut(t, s, oddKey, object)
	signed, err := s3.NewPresignClient(client).PresignGetObject(newContext(t),
		&s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(oddKey)}, s3.WithPresignExpires(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.transport.RoundTrip(newRequest(t, http.MethodGet, signed.URL, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(body, object) {
		t.Errorf("%s: %.200q, %v", res.Status, body, err)
	}
	if got, want := g.Counts(), (Counts{1, int64(len(object))}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func newRequest(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(newContext(t), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
