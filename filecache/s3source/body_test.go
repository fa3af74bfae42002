package s3source_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// fetched is the result of a Fetch and of reading the body.
type fetched struct {
	filecache.Response
	body    string
	err     error // of Fetch
	readErr error
}

func fetch(t *testing.T, o filecache.Object, req filecache.Request) (f fetched) {
	t.Helper()
	resp, err := o.Fetch(t.Context(), req)
	if err != nil {
		return fetched{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return fetched{Response: *resp, body: string(b), readErr: err}
}

// All ways to end an answer without a length, and their Responses.
func TestAnswersWithoutALengthSayHowTheyEnd(t *testing.T) {
	chunked := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of("hello"))
		w.(http.Flusher).Flush()
		fmt.Fprint(w, "hello")
	}
	for _, tt := range []struct {
		name   string
		h      http.HandlerFunc
		http2  bool
		framed bool
		cut    bool
		sums   int
	}{
		{"chunked", chunked, false, true, false, 1},
		{"HTTP/2", chunked, true, true, false, 1},
		{"chunked and cut", func(w http.ResponseWriter, r *http.Request) {
			chunked(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, false, true, true, 1},
		{"HTTP/2, cut", func(w http.ResponseWriter, r *http.Request) {
			chunked(w, r)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, true, true, true, 1},
		{"until the connection closes", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello")
				conn.Close()
			}
		}, false, false, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewUnstartedServer(tt.h)
			srv.EnableHTTP2 = tt.http2
			if tt.http2 {
				srv.StartTLS()
			} else {
				srv.Start()
			}
			defer srv.Close()
			client := s3.New(s3.Options{BaseEndpoint: aws.String(srv.URL), Region: "us-east-1", UsePathStyle: true,
				HTTPClient: srv.Client(), Credentials: aws.AnonymousCredentials{}, RetryMaxAttempts: 1})
			f := fetch(t, s3source.Bucket{Client: client, Name: "models"}.Object("k"), filecache.Request{})
			if f.err != nil || f.Size != -1 || f.Framed != tt.framed || len(f.Checksums) != tt.sums {
				t.Errorf("%+v", f)
			}
			if (f.readErr != nil) != tt.cut || !tt.cut && f.body != "hello" {
				t.Errorf("%q, %v", f.body, f.readErr)
			}
		})
	}
}

// replacing is middleware that replaces the body of an answer, at the same step as
// Amazon's S3 encryption client.
func replacing(by func(io.ReadCloser) io.ReadCloser) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			return s.Deserialize.Add(middleware.DeserializeMiddlewareFunc("test:replace", func(
				ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
			) (middleware.DeserializeOutput, middleware.Metadata, error) {
				out, md, err := next.HandleDeserialize(ctx, in)
				if result, ok := out.Result.(*s3.GetObjectOutput); ok && err == nil {
					result.Body = by(result.Body)
				}
				return out, md, err
			}), middleware.Before)
		})
	}
}

// encrypting has the structure of Amazon's S3 encryption client: it embeds an
// *s3.Client, hides its method Options, and decrypts by middleware.
type encrypting struct {
	*s3.Client
	Options string
	aead    cipher.AEAD
}

func newEncrypting(t *testing.T, client *s3.Client) encrypting {
	t.Helper()
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return encrypting{client, "", aead}
}

func (e encrypting) seal(plain string) string {
	return string(e.aead.Seal(nil, make([]byte, e.aead.NonceSize()), []byte(plain), nil))
}

func (e encrypting) GetObject(ctx context.Context, in *s3.GetObjectInput, opts ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	return e.Client.GetObject(ctx, in, append(opts, replacing(func(body io.ReadCloser) io.ReadCloser {
		return &gcmReader{aead: e.aead, sealed: body}
	}))...)
}

type gcmReader struct {
	aead   cipher.AEAD
	sealed io.ReadCloser
	plain  io.Reader
}

func (g *gcmReader) Read(p []byte) (int, error) {
	if g.plain == nil {
		b, err := io.ReadAll(g.sealed)
		if err != nil {
			return 0, err
		}
		if b, err = g.aead.Open(nil, make([]byte, g.aead.NonceSize()), b, nil); err != nil {
			return 0, err
		}
		g.plain = bytes.NewReader(b)
	}
	return g.plain.Read(p)
}

func (g *gcmReader) Close() error { return g.sealed.Close() }

// The length and the checksums in the answer are those of the ciphertext.
func TestEncryptionClient(t *testing.T) {
	plain := strings.Repeat("secret ", 1000)
	var e encrypting
	cut := false
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		sealed := e.seal(plain)
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of(sealed))
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-9/%d", len(sealed)))
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, sealed[:10])
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(sealed)))
		if cut {
			sealed = sealed[:len(sealed)/2]
		}
		fmt.Fprint(w, sealed)
	})
	e = newEncrypting(t, bucket.Client.(*s3.Client))
	object := s3source.Bucket{Client: e, Name: "models", Endpoint: "test", Scope: "decrypted"}.Object("k")

	f := fetch(t, object, filecache.Request{})
	if f.err != nil || f.readErr != nil || f.body != plain {
		t.Fatalf("%d bytes, %v, %v", len(f.body), f.err, f.readErr)
	}
	if f.Size != -1 || !f.Framed || f.Checksums != nil || f.ETag != `"v1"` {
		t.Errorf("%+v", f.Response)
	}
	if f := fetch(t, object, filecache.Request{Length: 10}); f.err == nil || !strings.Contains(f.err.Error(), "middleware") {
		t.Errorf("a range of the ciphertext was accepted: %+v", f)
	}
	cut = true
	if f := fetch(t, object, filecache.Request{}); f.readErr == nil {
		t.Errorf("a truncated body was accepted as complete: %d bytes", len(f.body))
	}
}

// swallowing returns the first bytes of a body and reports any later event as its end.
type swallowing struct {
	io.ReadCloser
	first int
}

func (s *swallowing) Read(p []byte) (int, error) {
	if s.first == 0 {
		return 0, io.EOF
	}
	n, err := s.ReadCloser.Read(p[:min(len(p), s.first)])
	s.first -= n
	if err != nil {
		err = io.EOF
	}
	return n, err
}

// Middleware between filecache and the wire must not hide a fault of the body.
func TestBodyThatMiddlewareReplaces(t *testing.T) {
	const body = "hello, wire"
	counting := func(b io.ReadCloser) io.ReadCloser { return struct{ io.ReadCloser }{b} }
	atOnce := func(b io.ReadCloser) io.ReadCloser { // as logging middleware does
		all, err := io.ReadAll(b)
		b.Close()
		if err != nil {
			all = append(all, " and an error"...)
		}
		return io.NopCloser(bytes.NewReader(all))
	}
	for _, tt := range []struct {
		name   string
		by     func(io.ReadCloser) io.ReadCloser
		sum    string
		cut    bool
		want   string
		is     error
		broken bool
	}{
		{name: "the same bytes", by: counting, sum: crc32of(body), want: body},
		{name: "the same bytes, without a checksum", by: counting, want: body},
		{name: "the same bytes, of a composite checksum", by: counting, sum: crc32of("other") + "-2", want: body},
		{name: "wrong bytes", by: counting, sum: crc32of("other"), is: filecache.ErrChecksum, broken: true},
		{name: "cut", by: counting, sum: crc32of(body), cut: true, is: io.ErrUnexpectedEOF, broken: true},
		{name: "read at once", by: atOnce, sum: crc32of(body), want: body},
		{name: "read at once, wrong bytes", by: atOnce, sum: crc32of("other"), is: filecache.ErrChecksum, broken: true},
		{name: "read at once, cut", by: atOnce, cut: true, is: io.ErrUnexpectedEOF, broken: true},
		{name: "the first bytes", by: func(b io.ReadCloser) io.ReadCloser { return &swallowing{b, 5} }, sum: crc32of(body), want: "hello"},
		{name: "the first bytes, wrong", by: func(b io.ReadCloser) io.ReadCloser { return &swallowing{b, 5} },
			sum: crc32of("other"), is: filecache.ErrChecksum, broken: true},
		{name: "an error taken for the end", by: func(b io.ReadCloser) io.ReadCloser { return &swallowing{b, 100} }, cut: true,
			is: io.ErrUnexpectedEOF, broken: true},
		{name: "the first bytes of a cut body", by: func(b io.ReadCloser) io.ReadCloser { return &swallowing{b, 2} }, cut: true,
			is: io.ErrUnexpectedEOF, broken: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				if tt.sum != "" {
					w.Header().Set("X-Amz-Checksum-Crc32", tt.sum)
				}
				if tt.cut {
					fmt.Fprint(w, body[:4])
					return
				}
				fmt.Fprint(w, body)
			})
			f := fetch(t, with(bucket, replacing(tt.by)).Object("k"), filecache.Request{})
			if f.err != nil || f.Size != -1 || !f.Framed || f.Checksums != nil {
				t.Errorf("%+v", f)
			}
			if (f.readErr != nil) != tt.broken || !errors.Is(f.readErr, tt.is) || !tt.broken && f.body != tt.want {
				t.Errorf("%q, %v; want %q, %v", f.body, f.readErr, tt.want, tt.is)
			}
		})
	}
}

// deaf is a client that ignores options.
type deaf struct {
	client *s3.Client
	by     func(io.ReadCloser) io.ReadCloser
}

func (d deaf) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	out, err := d.client.GetObject(ctx, in)
	if err == nil && d.by != nil {
		out.Body = d.by(out.Body)
	}
	return out, err
}

func TestClientThatTakesNoOptions(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of("hello"))
		fmt.Fprint(w, "hello")
	})
	client := bucket.Client.(*s3.Client)
	f := fetch(t, s3source.Bucket{Client: deaf{client: client}, Name: "models", Endpoint: "test"}.Object("k"), filecache.Request{})
	if f.body != "hello" || f.Size != 5 || len(f.Checksums) != 1 {
		t.Errorf("%+v", f)
	}
	// Nothing shows whether that body is complete.
	upper := func(b io.ReadCloser) io.ReadCloser {
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(b, strings.NewReader(" HELLO")), b}
	}
	f = fetch(t, s3source.Bucket{Client: deaf{client, upper}, Name: "models", Endpoint: "test"}.Object("k"), filecache.Request{})
	if f.body != "hello HELLO" || f.Size != -1 || f.Framed || f.Checksums != nil {
		t.Errorf("%+v", f)
	}
}

// A transport may change the body as well, as net/http does for gzip.
func TestTransportThatChangesTheBody(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte("hello"))
	z.Close()
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc32", crc32of(packed.String()))
		w.Header().Set("Content-Length", strconv.Itoa(packed.Len()))
		w.Write(packed.Bytes())
	})
	inner := bucket.Client.(*s3.Client).Options().HTTPClient
	bucket = with(bucket, func(o *s3.Options) {
		o.HTTPClient = transportFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := inner.Do(r)
			if err == nil {
				plain, err := gzip.NewReader(resp.Body)
				if err != nil {
					return nil, err
				}
				resp.Body, resp.ContentLength, resp.Uncompressed = struct {
					io.Reader
					io.Closer
				}{plain, resp.Body}, -1, true
			}
			return resp, err
		})
	})
	f := fetch(t, bucket.Object("k"), filecache.Request{})
	if f.err != nil || f.readErr != nil || f.body != "hello" || f.Size != -1 || !f.Framed || f.Checksums != nil {
		t.Errorf("%+v", f)
	}
}

// A value with another length is not a checksum of that algorithm.
func TestChecksumsOfAWrongLengthAreIgnored(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Checksum-Crc32", "AAAA")
		w.Header().Set("X-Amz-Checksum-Sha256", crc32of("hello"))
		w.Header().Set("X-Amz-Checksum-Crc64nvme", crc32of("hello"))
		fmt.Fprint(w, "hello")
	})
	if f := fetch(t, bucket.Object("k"), filecache.Request{}); f.Checksums != nil || f.body != "hello" {
		t.Errorf("%+v", f)
	}
	if b, err := newFiles(t).ReadFile(t.Context(), bucket.Object("k")); err != nil || string(b) != "hello" {
		t.Errorf("%q, %v", b, err)
	}
	same := func(b io.ReadCloser) io.ReadCloser { return struct{ io.ReadCloser }{b} }
	if f := fetch(t, with(bucket, replacing(same)).Object("k"), filecache.Request{}); f.readErr != nil || f.body != "hello" {
		t.Errorf("through middleware: %+v", f)
	}
}

// A server that echoes the request may put its signature anywhere.
func TestEchoedSignatureStaysOutOfErrors(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, signature, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		w.Header().Set("ETag", `"`+signature+`"`)
		w.Header().Set("Content-Range", "bytes "+signature+"/5")
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("X-Signature", signature)
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "ll")
	})
	var signature string
	inner := bucket.Client.(*s3.Client).Options().HTTPClient
	bucket = with(bucket, func(o *s3.Options) {
		o.HTTPClient = transportFunc(func(r *http.Request) (*http.Response, error) {
			_, signature, _ = strings.Cut(r.Header.Get("Authorization"), "Signature=")
			return inner.Do(r)
		})
	})
	for _, req := range []filecache.Request{{Offset: 2, Length: 2}, {}, {IfNoneMatch: `"v1"`}} {
		f := fetch(t, bucket.Object("k"), req)
		if f.err == nil || len(signature) != 64 || strings.Contains(f.err.Error(), signature) {
			t.Errorf("%+v: %v", req, f.err)
		}
	}
}

// A version that is a delete marker is an answer: the version has no bytes.
func TestDeleteMarker(t *testing.T) {
	marker := true
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if marker {
			w.Header().Set("X-Amz-Delete-Marker", "true")
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
		fmt.Fprint(w, "<Error><Code>MethodNotAllowed</Code></Error>")
	})
	if f := fetch(t, bucket.Version("k", "7"), filecache.Request{}); !errors.Is(f.err, fs.ErrNotExist) {
		t.Errorf("%v", f.err)
	}
	if f := fetch(t, bucket.Object("k"), filecache.Request{}); f.err == nil || errors.Is(f.err, fs.ErrNotExist) {
		t.Errorf("without a version: %v", f.err)
	}
	marker = false
	if f := fetch(t, bucket.Version("k", "7"), filecache.Request{}); f.err == nil || errors.Is(f.err, fs.ErrNotExist) {
		t.Errorf("another reason: %v", f.err)
	}
}
