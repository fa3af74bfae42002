package s3source_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an S3 whose answers come from a handler. The bench module tests real
// servers.
func server(t *testing.T, h http.HandlerFunc) (s3source.Bucket, *atomic.Int64) {
	t.Helper()
	t.Setenv("AWS_CA_BUNDLE", "")
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(srv.URL),
		Region:       "us-east-1",
		UsePathStyle: true,
		HTTPClient:   &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "SECRET"}, nil
		}),
		RetryMaxAttempts: 1,
	})
	return s3source.Bucket{Client: client, Name: "models"}, &requests
}

func newFiles(t *testing.T) *filecache.Cache {
	return filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir()}))
}

func crc32of(b string) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(b))))
}

func TestSmallObjectCostsOneRequestAndThenAConditionalOne(t *testing.T) {
	const body = "hello"
	bucket, requests := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/models/dir/a b.txt" {
			t.Errorf("path %q", r.URL.Path)
		}
		if r.Header.Get("X-Amz-Checksum-Mode") != "ENABLED" {
			t.Error("the checksum was not requested")
		}
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of(body))
		w.Header().Set("X-Amz-Checksum-Type", "FULL_OBJECT")
		w.Header().Set("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
		fmt.Fprint(w, body)
	})
	files, object := newFiles(t), bucket.Object("dir/a b.txt")
	for want := int64(1); want <= 3; want++ {
		b, err := files.ReadFile(context.Background(), object)
		if err != nil || string(b) != body || requests.Load() != want {
			t.Errorf("ReadFile = %q, %v after %d requests, want %d", b, err, requests.Load(), want)
		}
	}
	if s := files.Stats(); s.Misses != 1 || s.Revalidated != 2 {
		t.Errorf("Stats = %+v", s)
	}
	f, err := files.Open(context.Background(), object)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if fi, _ := f.Stat(); fi.Name() != "a b.txt" || !fi.ModTime().Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("Stat = %s, %v", fi.Name(), fi.ModTime())
	}
}

func TestWrongChecksum(t *testing.T) {
	bucket, requests := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of("other"))
		fmt.Fprint(w, "hello")
	})
	_, err := newFiles(t).ReadFile(context.Background(), bucket.Object("k"))
	if !errors.Is(err, filecache.ErrChecksum) || requests.Load() != 2 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}

// A checksum of the parts' checksums is not the checksum of the bytes.
func TestCompositeChecksumIsLeftAlone(t *testing.T) {
	for name, header := range map[string]string{"by type": crc32of("parts"), "by value": crc32of("parts") + "-3"} {
		t.Run(name, func(t *testing.T) {
			bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Amz-Checksum-Crc32", header)
				if name == "by type" {
					w.Header().Set("X-Amz-Checksum-Type", "COMPOSITE")
				}
				fmt.Fprint(w, "hello")
			})
			if b, err := newFiles(t).ReadFile(context.Background(), bucket.Object("k")); err != nil || string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestErrorsByStatus(t *testing.T) {
	for _, tt := range []struct {
		status   int
		code     string
		notExist bool
	}{
		{404, "NoSuchKey", true},
		{404, "", true},
		{404, "NoSuchBucket", false},
		{403, "AccessDenied", false},
		{416, "InvalidRange", false},
		{500, "InternalError", false},
		{503, "SlowDown", false},
		{301, "PermanentRedirect", false},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(tt.status)
				if tt.code != "" {
					fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message></Error>", tt.code)
				}
			})
			_, err := newFiles(t).Open(context.Background(), bucket.Object("k"))
			if err == nil || errors.Is(err, fs.ErrNotExist) != tt.notExist {
				t.Errorf("%v, matches fs.ErrNotExist: %v", err, errors.Is(err, fs.ErrNotExist))
			}
			if err != nil && (!strings.Contains(err.Error(), "/models/k") || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("the error does not name the object, or shows a secret: %v", err)
			}
			if tt.code != "" && tt.status != 301 && !strings.Contains(err.Error(), tt.code) {
				t.Errorf("the error does not have the origin's code: %v", err)
			}
		})
	}
}

func TestRangeThatIsIgnored(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	_, err := bucket.Object("k").Fetch(context.Background(), filecache.Request{Offset: 2, Length: 2})
	if err == nil || !strings.Contains(err.Error(), "bytes=2-3") {
		t.Errorf("Fetch = %v", err)
	}
}

func TestRangeAndCondition(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Match") != `"v1"` {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Content-Range", "bytes 2-3/5")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "ll")
	})
	resp, err := bucket.Object("k").Fetch(context.Background(), filecache.Request{Offset: 2, Length: 2, IfMatch: `"v1"`})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Size != 5 || resp.Checksums != nil {
		t.Errorf("%+v", resp)
	}
	if _, err := bucket.Object("k").Fetch(context.Background(), filecache.Request{IfMatch: `"v0"`}); !errors.Is(err, filecache.ErrChanged) {
		t.Errorf("Fetch of a replaced object = %v", err)
	}
}

func TestAnswerWithoutALength(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hel")
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "lo") // chunked, with a regular end
	})
	b, err := newFiles(t).ReadFile(context.Background(), bucket.Object("k"))
	if string(b) != "hello" || err != nil {
		t.Errorf("ReadFile = %q, %v", b, err)
	}
}

func TestIdentity(t *testing.T) {
	client := s3.New(s3.Options{Region: "us-east-1"})
	local := s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:9000/")})
	for _, tt := range []struct {
		object filecache.Object
		want   string
	}{
		{s3source.Bucket{Client: client, Name: "models"}.Object("a/b"), "s3://models/a/b"},
		{s3source.Bucket{Client: client, Name: "models"}.Version("a", "7"), "s3://models/a?version=7"},
		{s3source.Bucket{Client: client, Name: "models"}.Version("a", "null"), "s3://models?versionId=null/a"},
		{s3source.Bucket{Client: client, Name: "models", Endpoint: "http://user:SECRET@host"}.Object("a"), "s3+http://host/models/a"},
		{s3source.Bucket{Client: client, Name: "models", Endpoint: "user:SECRET@host:%zz"}.Object("a"), "s3+host:%zz/models/a"},
		{s3source.Bucket{Client: local, Name: "models"}.Object("a"), "s3+http://127.0.0.1:9000/models/a"},
		{s3source.Bucket{Client: client, Name: "models", Endpoint: "other"}.Object("a"), "s3+other/models/a"},
	} {
		if id, err := tt.object.ID(); err != nil || id.String() != tt.want {
			t.Errorf("%v, %v; want %s", id, err, tt.want)
		}
	}
	for want, object := range map[string]filecache.Object{
		"Bucket.Client": s3source.Bucket{Name: "models"}.Object("a"),
		"Bucket.Name":   s3source.Bucket{Client: client}.Object("a"),
		"key":           s3source.Bucket{Client: client, Name: "models"}.Object(""),
	} {
		if _, err := newFiles(t).Open(context.Background(), object); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open = %v, want an error that names %s", err, want)
		}
	}
}

// A missing token file, CA bundle or socket is an error that matches fs.ErrNotExist by
// itself. It must not pass for the origin's 404: the caller would get a wrong not-found
// error, and the good copy would be removed.
func TestMissingLocalFileIsNotAMissingObject(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprint(w, "hello")
	})
	files := newFiles(t)
	if _, err := files.ReadFile(context.Background(), bucket.Object("k")); err != nil {
		t.Fatal(err)
	}
	opts := bucket.Client.(*s3.Client).Options()
	opts.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		_, err := os.ReadFile("/var/run/secrets/missing/token") // as stscreds.IdentityTokenFile
		return aws.Credentials{}, fmt.Errorf("failed to retrieve jwt from provide source, %w", err)
	})
	broken := bucket
	broken.Client = s3.New(opts)
	_, err := files.Open(context.Background(), broken.Object("k"))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open reports a missing object: %v", err)
	}
	if _, err := files.ReadFile(context.Background(), bucket.Object("k")); err != nil {
		t.Error(err)
	}
	if s := files.Stats(); s.Misses != 1 {
		t.Errorf("the copy was dropped: %+v", s)
	}
}

// A nil *s3.Client in the interface is a missing client too.
func TestTypedNilClient(t *testing.T) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panic: %v", r)
		}
	}()
	var client *s3.Client
	if _, err := newFiles(t).Open(context.Background(), s3source.Bucket{Client: client, Name: "b"}.Object("k")); err == nil {
		t.Error("no error")
	}
}

// The version is requested, and is part of the identity.
func TestVersion(t *testing.T) {
	bucket, requests := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"e"`)
		fmt.Fprint(w, "version "+r.URL.Query().Get("versionId"))
	})
	files := newFiles(t)
	for range 2 {
		for _, v := range []string{"1", "2"} {
			if b, err := files.ReadFile(context.Background(), bucket.Version("k", v)); err != nil || string(b) != "version "+v {
				t.Errorf("%q, %v", b, err)
			}
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

// The body begins at the requested offset.
func TestWrongRange(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-1/5")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "he")
	})
	if _, err := bucket.Object("k").Fetch(context.Background(), filecache.Request{Offset: 2, Length: 2}); err == nil {
		t.Error("bytes 0-1 were accepted as 2-3")
	}
}

// The checksum of a range is not the object's.
func TestChecksumOfARange(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 2-3/5")
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of("ll"))
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "ll")
	})
	resp, err := bucket.Object("k").Fetch(context.Background(), filecache.Request{Offset: 2, Length: 2})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.Checksums != nil {
		t.Errorf("%+v", resp.Checksums)
	}
}

func BenchmarkID(b *testing.B) {
	client := s3.New(s3.Options{Region: "us-east-1"})
	o := s3source.Bucket{Client: client, Name: "models"}.Object("a/b")
	b.ReportAllocs()
	for b.Loop() {
		o.ID()
	}
}
