package servers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
	"github.com/warmcache/warmcache/filecache/objecttest"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// wire sends requests, counts them, and can corrupt answers.
type wire struct {
	http.RoundTripper
	requests atomic.Int64
	spoil    func(n int64, resp *http.Response)
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	n := w.requests.Add(1)
	resp, err := w.RoundTripper.RoundTrip(r)
	if err == nil && w.spoil != nil {
		w.spoil(n, resp)
	}
	return resp, err
}

// reader is a cache that reads a bucket through a wire.
type reader struct {
	*server
	t      *testing.T
	files  *filecache.Cache
	wire   *wire
	bucket s3source.Bucket
}

func (s *server) reader(t *testing.T) *reader {
	t.Helper()
	w := &wire{RoundTripper: s.transport(t)}
	return &reader{
		server: s, t: t, wire: w,
		files:  filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir()})),
		bucket: s3source.Bucket{Client: s.client(t, w), Name: bucket},
	}
}

// want reads an object, and returns the number of requests.
func (r *reader) want(o filecache.Object, want []byte) int64 {
	r.t.Helper()
	before := r.wire.requests.Load()
	if b, err := r.files.ReadFile(r.t.Context(), o); err != nil || !bytes.Equal(b, want) {
		r.t.Errorf("ReadFile = %d bytes, %v; want %d bytes", len(b), err, len(want))
	}
	return r.wire.requests.Load() - before
}

// put stores an object and returns its version.
func (s *server) put(t *testing.T, key string, body []byte, with ...func(*s3.PutObjectInput)) string {
	t.Helper()
	in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader(body)}
	for _, f := range with {
		f(in)
	}
	out, err := s.client(t, nil).PutObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func (s *server) remove(t *testing.T, key string) {
	t.Helper()
	if _, err := s.client(t, nil).DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
		t.Fatal(err)
	}
}

// kind is a way to store an object.
type kind struct {
	name     string
	verified bool // the server has a checksum of the whole object
	put      func(t *testing.T, s *server, key string, body []byte)
}

func kinds() (all []kind) {
	all = append(all, kind{"without a checksum", false, func(t *testing.T, s *server, key string, body []byte) { s.put(t, key, body) }})
	for _, a := range []types.ChecksumAlgorithm{"CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"} {
		all = append(all, kind{string(a), true, func(t *testing.T, s *server, key string, body []byte) {
			s.put(t, key, body, func(in *s3.PutObjectInput) { in.ChecksumAlgorithm = a })
		}})
	}
	for _, m := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
	}{
		{"CRC64NVME", "FULL_OBJECT"}, {"CRC32", "FULL_OBJECT"}, {"CRC32C", "FULL_OBJECT"},
		{"CRC32", "COMPOSITE"}, {"SHA256", "COMPOSITE"}, {"", ""},
	} {
		all = append(all, kind{"multipart " + string(m.algorithm) + " " + string(m.kind), m.kind == "FULL_OBJECT",
			func(t *testing.T, s *server, key string, body []byte) { s.putParts(t, key, body, m.algorithm, m.kind) }})
	}
	return all
}

// partSize is the smallest size that S3 allows.
const partSize = 5 << 20

func (s *server) putParts(t *testing.T, key string, body []byte, algorithm types.ChecksumAlgorithm, kind types.ChecksumType) {
	t.Helper()
	client, ctx := s.client(t, nil), t.Context()
	up, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumAlgorithm: algorithm, ChecksumType: kind,
	})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for n := int32(1); len(body) > 0; n++ {
		part := body[:min(len(body), partSize)]
		body = body[len(part):]
		out, err := client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: aws.String(bucket), Key: &key, UploadId: up.UploadId, PartNumber: &n,
			Body: bytes.NewReader(part), ChecksumAlgorithm: algorithm,
		})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{
			PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
			ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256,
		})
	}
	_, err = client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String(bucket), Key: &key, UploadId: up.UploadId, ChecksumType: kind,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// An object of each kind, from its first read to its deletion.
func TestLifeOfAnObject(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for _, k := range kinds() {
			t.Run(k.name, func(t *testing.T) {
				r, key := s.reader(t), "dir/"+k.name+" ä+%.bin"
				old, young := origin.Object(partSize+1000, 1), origin.Object(partSize+1001, 2)
				object := r.bucket.Object(key)

				k.put(t, s, key, old)
				if n := r.want(object, old); n != 1 {
					t.Errorf("a miss took %d requests", n)
				}
				r.want(object, old)
				if st := r.files.Stats(); st.Revalidated != 1 || st.Misses != 1 {
					t.Errorf("not revalidated: %+v", st)
				}
				k.put(t, s, key, young)
				r.want(object, young)
				s.remove(t, key)
				if _, err := r.files.Open(t.Context(), object); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Open of a deleted object = %v", err)
				}
				k.put(t, s, key, old)
				r.want(object, old)
				if st := r.files.Stats(); st.Misses != 3 || st.Faults != 0 || st.Uncached != 0 {
					t.Errorf("Stats = %+v", st)
				}
			})
		}
	})
}

// A byte that changes in transit is detected if the server has a checksum of the
// whole object.
func TestDamageOnTheWay(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for _, k := range kinds() {
			if !k.verified || s.simple && strings.HasPrefix(k.name, "multipart") {
				continue
			}
			t.Run(k.name, func(t *testing.T) {
				r, body := s.reader(t), origin.Object(partSize+1000, 1)
				k.put(t, s, k.name, body)
				r.wire.spoil = func(n int64, resp *http.Response) {
					if n == 1 {
						resp.Body = &flipped{ReadCloser: resp.Body, at: partSize - 7}
					}
				}
				if n := r.want(r.bucket.Object(k.name), body); n != 2 {
					t.Errorf("%d requests, want a second one", n)
				}
				r.wire.spoil = func(_ int64, resp *http.Response) { resp.Body = &flipped{ReadCloser: resp.Body} }
				other := s.reader(t)
				other.wire.spoil = r.wire.spoil
				if _, err := other.files.ReadFile(t.Context(), other.bucket.Object(k.name)); !errors.Is(err, filecache.ErrChecksum) {
					t.Errorf("ReadFile = %v", err)
				}
			})
		}
	})
}

// flipped changes the byte at position at.
type flipped struct {
	io.ReadCloser
	at int
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if 0 <= f.at && f.at < n {
		p[f.at] ^= 1
	}
	f.at -= n
	return n, err
}

func TestRefusals(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		r, body := s.reader(t), []byte("hello")
		s.put(t, "a", body)
		r.want(r.bucket.Object("a"), body)

		wrong := *s
		wrong.credentials.SecretAccessKey += "x"
		denied := s3source.Bucket{Client: wrong.client(t, nil), Name: bucket}
		if _, err := r.files.Open(t.Context(), denied.Object("a")); err == nil || errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), wrong.credentials.SecretAccessKey) {
			t.Errorf("Open with a wrong secret = %v", err)
		}
		if _, err := r.files.Open(t.Context(), r.bucket.Object("b")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open of a missing key = %v", err)
		}
		nowhere := s3source.Bucket{Client: r.bucket.Client, Name: "nowhere"}
		if _, err := r.files.Open(t.Context(), nowhere.Object("a")); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open in a missing bucket = %v", err)
		}
		r.want(r.bucket.Object("a"), body)
		if st := r.files.Stats(); st.Misses != 1 || st.Revalidated != 1 {
			t.Errorf("the copy was not kept: %+v", st)
		}
	})
}

func TestVersions(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		if s.simple {
			t.Skip("this server keeps no versions")
		}
		r, old, young := s.reader(t), []byte("old"), []byte("young")
		first, second := s.put(t, "a", old), s.put(t, "a", young)
		s.remove(t, "a")
		for range 2 {
			r.want(r.bucket.Version("a", first), old)
			r.want(r.bucket.Version("a", second), young)
		}
		if n := r.wire.requests.Load(); n != 2 {
			t.Errorf("%d requests, want one for each version", n)
		}
		if _, err := r.files.Open(t.Context(), r.bucket.Object("a")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open behind a delete marker = %v", err)
		}
		for _, marker := range s.deleteMarkers(t, "a") {
			if _, err := r.files.Open(t.Context(), r.bucket.Version("a", marker)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of a delete marker = %v", err)
			}
			source := httpsource.Source{Client: &http.Client{Transport: s.transport(t)}}
			if _, err := r.files.Open(t.Context(), source.Object(s.presign(t, "a", time.Hour, marker))); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of the presigned URL of a delete marker = %v", err)
			}
		}
	})
}

// deleteMarkers returns their versions, of which there is one at least.
func (s *server) deleteMarkers(t *testing.T, key string) (versions []string) {
	t.Helper()
	out, err := s.client(t, nil).ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: &key})
	if err != nil || len(out.DeleteMarkers) == 0 {
		t.Fatalf("no delete marker: %v", err)
	}
	for _, m := range out.DeleteMarkers {
		versions = append(versions, aws.ToString(m.VersionId))
	}
	return versions
}

func TestRanges(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		r, body := s.reader(t), origin.Object(1000, 1)
		s.put(t, "a", body)
		object := r.bucket.Object("a")
		whole, err := object.Fetch(t.Context(), filecache.Request{})
		if err != nil {
			t.Fatal(err)
		}
		whole.Body.Close()
		for _, tt := range []struct {
			req      filecache.Request
			from, to int
		}{
			{filecache.Request{Offset: 100, Length: 100}, 100, 200},
			{filecache.Request{Length: 100}, 0, 100},
			{filecache.Request{Offset: 900}, 900, 1000},
			{filecache.Request{Offset: 999, Length: 100}, 999, 1000},
			{filecache.Request{Length: 1000}, 0, 1000},
		} {
			tt.req.IfMatch = whole.ETag
			resp, err := object.Fetch(t.Context(), tt.req)
			if err != nil {
				t.Errorf("%+v: %v", tt.req, err)
				continue
			}
			b, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !bytes.Equal(b, body[tt.from:tt.to]) || resp.Size != 1000 || resp.ETag != whole.ETag {
				t.Errorf("%+v: %d bytes of %d, %v", tt.req, len(b), resp.Size, err)
			}
		}
		if _, err := object.Fetch(t.Context(), filecache.Request{Offset: 100, Length: 100, IfMatch: `"other"`}); !errors.Is(err, filecache.ErrChanged) {
			t.Errorf("range of another version = %v", err)
		}
		if _, err := object.Fetch(t.Context(), filecache.Request{Offset: 1000, Length: 1}); err == nil || errors.Is(err, filecache.ErrChanged) {
			t.Errorf("range past the end = %v", err)
		}
	})
}

// The contract of an Object, on real servers.
func TestConformance(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		body := origin.Object(300_000, 1)
		of := objecttest.Origin{
			Content: body,
			Replace: func(content []byte) error { s.put(t, "dir/a", content); return nil },
			Remove:  func() error { s.remove(t, "dir/a"); return nil },
		}
		s.put(t, "dir/a", body)
		if err := objecttest.TestObject(t.Context(), s.reader(t).bucket.Object("dir/a"), of); err != nil {
			t.Errorf("s3source: %v", err)
		}
		source := httpsource.Source{Client: &http.Client{Transport: s.transport(t)}}
		if err := objecttest.TestObject(t.Context(), source.Object(s.presign(t, "dir/a", time.Hour)), of); err != nil {
			t.Errorf("httpsource: %v", err)
		}
	})
}

// The connection breaks, and the object changes before the rest is requested.
func TestReplacedInTheMiddle(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		for name, replaced := range map[string]bool{"broken": false, "broken and replaced": true} {
			t.Run(name, func(t *testing.T) {
				r, body := s.reader(t), origin.Object(3<<20, 1)
				s.put(t, name, body)
				r.wire.spoil = func(n int64, resp *http.Response) {
					if n != 1 {
						return
					}
					resp.Body = &broken{ReadCloser: resp.Body, left: 1 << 20, then: func() {
						if replaced {
							body = origin.Object(3<<20, 2)
							s.put(t, name, body)
						}
					}}
				}
				b, err := r.files.ReadFile(t.Context(), r.bucket.Object(name))
				if err != nil || !bytes.Equal(b, body) {
					t.Errorf("%d bytes, %v", len(b), err)
				}
			})
		}
	})
}

// broken is a body that fails after some bytes.
type broken struct {
	io.ReadCloser
	left int
	then func()
}

func (b *broken) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.then()
		b.then = func() {}
		return 0, errors.New("connection reset")
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

func TestListing(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		r := s.reader(t)
		names := []string{"a.txt", "dir/b.txt", "dir/c/d.txt"}
		for _, name := range names {
			s.put(t, name, []byte(name))
		}
		if err := fstest.TestFS(r.files.FS(t.Context(), r.bucket), names...); err != nil {
			t.Error(err)
		}
	})
}

// XML has no way to write some characters that a key may have.
func TestListingOfOddKeys(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		r := s.reader(t)
		names := []string{"a b+c%20.txt", "ä&<>.txt"}
		if !s.plain {
			names = append(names, "a\x01.txt")
		}
		for _, name := range names {
			s.put(t, "dir/"+name, []byte(name))
			s.put(t, name+"/b.txt", []byte(name))
		}
		fsys := r.files.FS(t.Context(), r.bucket)
		for dir, want := range map[string][]string{"dir": names, ".": append([]string{"dir"}, names...)} {
			entries, err := fs.ReadDir(fsys, dir)
			var got []string
			for _, e := range entries {
				got = append(got, e.Name())
			}
			slices.Sort(want)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("ReadDir(%q) = %q, %v; want %q", dir, got, err, want)
			}
		}
		for _, name := range names {
			r.want(r.bucket.Object("dir/"+name), []byte(name))
		}
	})
}

func TestPresigned(t *testing.T) {
	onEach(t, func(t *testing.T, s *server) {
		files := filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir()}))
		body := origin.Object(100_000, 1)
		s.put(t, "a", body)
		source := httpsource.Source{Client: &http.Client{Transport: s.transport(t)}}
		read := func(url string) error {
			b, err := files.ReadFile(t.Context(), source.Object(url))
			if err == nil && !bytes.Equal(b, body) {
				t.Error("the bytes differ")
			}
			return err
		}
		for _, ends := range []time.Duration{time.Hour, 2 * time.Hour} { // the URL is renewed and the object is the same
			if err := read(s.presign(t, "a", ends)); err != nil {
				t.Error(err)
			}
		}
		if st := files.Stats(); st.Misses != 1 || st.Revalidated != 1 {
			t.Errorf("Stats = %+v", st)
		}
		good := s.presign(t, "a", time.Hour)
		if err := read(good[:len(good)-1] + flip(good[len(good)-1])); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ReadFile with a bad signature = %v", err)
		}
		if err := read(good); err != nil || files.Stats().Misses != 1 {
			t.Errorf("the copy was not kept: %v, %+v", err, files.Stats())
		}
	})
}

// flip returns another hexadecimal digit.
func flip(c byte) string {
	if c == '0' {
		return "1"
	}
	return "0"
}

// presign returns a URL for an object, or for the given version.
func (s *server) presign(t *testing.T, key string, d time.Duration, version ...string) string {
	t.Helper()
	in := &s3.GetObjectInput{Bucket: aws.String(bucket), Key: &key}
	for _, v := range version {
		in.VersionId = &v
	}
	signed, err := s3.NewPresignClient(s.client(t, nil)).PresignGetObject(context.Background(), in, s3.WithPresignExpires(d))
	if err != nil {
		t.Fatal(err)
	}
	return signed.URL
}
