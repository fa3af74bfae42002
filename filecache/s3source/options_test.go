package s3source_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyendpoints "github.com/aws/smithy-go/endpoints"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// with returns b with a client that has other options.
func with(b s3source.Bucket, change func(*s3.Options)) s3source.Bucket {
	b.Client = s3.New(b.Client.(*s3.Client).Options(), change)
	return b
}

// modes returns the checksum headers of the requests so far.
type modes struct {
	mu   sync.Mutex
	seen []string
}

func (m *modes) add(r *http.Request) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	mode := r.Header.Get("X-Amz-Checksum-Mode")
	m.seen = append(m.seen, mode)
	return mode
}

func (m *modes) take() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.seen = nil }()
	return strings.Join(m.seen, ",")
}

func TestResponseChecksumValidationIsHonored(t *testing.T) {
	for option, want := range map[aws.ResponseChecksumValidation]string{
		0: "ENABLED", aws.ResponseChecksumValidationWhenSupported: "ENABLED", aws.ResponseChecksumValidationWhenRequired: "",
	} {
		var m modes
		bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			m.add(r)
			fmt.Fprint(w, "hello")
		})
		bucket = with(bucket, func(o *s3.Options) { o.ResponseChecksumValidation = option })
		if b, err := newFiles(t).ReadFile(t.Context(), bucket.Object("k")); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		if got := m.take(); got != want {
			t.Errorf("ResponseChecksumValidation %d sent %q, want %q", option, got, want)
		}
	}
}

// Backblaze B2 answers the checksum header with 400, and others answer with 501.
func TestServiceThatRefusesTheHeaderForChecksums(t *testing.T) {
	for _, status := range []int{400, 501} {
		var m modes
		bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			if m.add(r) != "" {
				w.WriteHeader(status)
				fmt.Fprint(w, "<Error><Code>InvalidArgument</Code><Message>Unsupported header</Message></Error>")
				return
			}
			w.Header().Set("ETag", `"v1"`)
			switch {
			case strings.HasSuffix(r.URL.Path, "/missing"):
				w.WriteHeader(http.StatusNotFound)
			case r.Header.Get("If-None-Match") == `"v1"`:
				w.WriteHeader(http.StatusNotModified)
			default:
				fmt.Fprint(w, "hello")
			}
		})
		files := newFiles(t)
		for _, want := range []string{"ENABLED,", ""} {
			if b, err := files.ReadFile(t.Context(), bucket.Object("k")); err != nil || string(b) != "hello" {
				t.Errorf("%q, %v", b, err)
			}
			if got := m.take(); got != want {
				t.Errorf("%d: header for checksums %q, want %q", status, got, want)
			}
		}
		// The Bucket remembers it, but other buckets of the client do not.
		other := s3source.Bucket{Client: bucket.Client, Name: "other"}
		if _, err := files.ReadFile(t.Context(), other.Object("missing")); err == nil || m.take() != "ENABLED," {
			t.Errorf("%v", err)
		}
		if _, err := files.ReadFile(t.Context(), other.Object("k")); err != nil || m.take() != "" {
			t.Errorf("a 404 without the header does not show that the header was refused: %v", err)
		}
	}
}

// A 400 for another reason costs at most one more request, and later requests still get
// checksums.
func TestOtherReasonsForA400AreNotRemembered(t *testing.T) {
	for code, want := range map[string]string{"InvalidRequest": "ENABLED,", "ExpiredToken": "ENABLED"} {
		var m modes
		bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
			m.add(r)
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message></Error>", code)
		})
		for range 2 {
			_, err := newFiles(t).ReadFile(t.Context(), bucket.Object("k"))
			if err == nil || !strings.Contains(err.Error(), code) {
				t.Errorf("%v", err)
			}
			if got := m.take(); got != want {
				t.Errorf("%s: header for checksums %q, want %q", code, got, want)
			}
		}
	}
}

type resolverV2 struct{}

func (resolverV2) ResolveEndpoint(context.Context, s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	return smithyendpoints.Endpoint{}, errors.New("not called")
}

// embeds is a common kind of wrapper.
type embeds struct{ *s3.Client }

// hides is a wrapper without the method Options, like Amazon's S3 encryption client.
type hides struct {
	*s3.Client
	Options string
}

func TestUnknownEndpointIsAnError(t *testing.T) {
	client := s3.New(s3.Options{Region: "us-east-1"})
	for name, c := range map[string]s3source.Client{
		"wrapper without Options": hides{Client: client},
		"resolver":                s3.New(s3.Options{Region: "us-east-1", EndpointResolverV2: resolverV2{}}),
		"old resolver":            s3.New(s3.Options{Region: "us-east-1", EndpointResolver: s3.EndpointResolverFromURL("http://127.0.0.1:9000")}), //nolint:staticcheck // that is how people reached MinIO for years
	} {
		_, err := s3source.Bucket{Client: c, Name: "models"}.Object("k").ID()
		if err == nil || !strings.Contains(err.Error(), "Bucket.Endpoint") {
			t.Errorf("%s: ID = %v", name, err)
		}
		if _, err := (s3source.Bucket{Client: c, Name: "models"}).Object("k").Fetch(t.Context(), filecache.Request{}); err == nil || !strings.Contains(err.Error(), "Bucket.Endpoint") {
			t.Errorf("%s: Fetch = %v", name, err)
		}
		id, err := s3source.Bucket{Client: c, Name: "models", Endpoint: "aws"}.Object("k").ID()
		if err != nil || id.String() != "s3+aws/models/k" {
			t.Errorf("%s with an Endpoint: %v, %v", name, id, err)
		}
	}
	local := embeds{s3.New(s3.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:9000")})}
	if id, err := (s3source.Bucket{Client: local, Name: "models"}).Object("k").ID(); err != nil || id.String() != "s3+http://127.0.0.1:9000/models/k" {
		t.Errorf("wrapper with Options: %v, %v", id, err)
	}
}

// Names of buckets are unique within a partition of AWS.
func TestPartitionsAreTold(t *testing.T) {
	for region, want := range map[string]string{
		"eu-west-1": "s3://models/k", "cn-north-1": "s3+aws-cn/models/k", "us-gov-west-1": "s3+aws-us-gov/models/k",
	} {
		id, err := s3source.Bucket{Client: s3.New(s3.Options{Region: region}), Name: "models"}.Object("k").ID()
		if err != nil || id.String() != want {
			t.Errorf("%s: %v, %v, want %s", region, id, err, want)
		}
	}
}

// Two clients share a Cache, and S3 sends 403 to one of them.
func TestScopesDoNotShareCopies(t *testing.T) {
	bucket, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=id/") {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "hello")
	})
	denied := with(bucket, func(o *s3.Options) {
		o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "other", SecretAccessKey: "SECRET"}, nil
		})
	})
	for name, o := range map[string]filecache.Options{
		"MaxAge": {MaxAge: time.Hour}, "Immutable": {MaxAge: filecache.Immutable}, "StaleIfError": {StaleIfError: time.Hour},
	} {
		for _, version := range []string{"", "7", "null"} {
			o.Dir = t.TempDir()
			files := filecache.Must(filecache.New(o))
			read := func(b s3source.Bucket, scope string) error {
				b.Scope = scope
				o := b.Version("k", version)
				if version == "" {
					o = b.Object("k")
				}
				_, err := files.ReadFile(t.Context(), o)
				return err
			}
			if err := read(bucket, "a"); err != nil {
				t.Fatal(err)
			}
			if err := read(bucket, "a"); err != nil {
				t.Error(err)
			}
			if err := read(denied, "b"); err == nil {
				t.Errorf("%s, version %q: the copy of scope a was served to scope b", name, version)
			}
			if err := read(denied, ""); err == nil {
				t.Errorf("%s, version %q: the copy of scope a was served without a scope", name, version)
			}
		}
	}
	ids := map[filecache.ID]bool{}
	for _, scope := range []string{"", "a", "a&b", "a?versionId=null", "a b"} {
		b := bucket
		b.Scope = scope
		for _, o := range []filecache.Object{b.Object("k"), b.Version("k", "null"), b.Version("k", "7")} {
			id, err := o.ID()
			if err != nil || ids[id] {
				t.Errorf("scope %q: %v, %v", scope, id, err)
			}
			ids[id] = true
		}
	}
}

// After a freeze, connections that were kept open may be dead.
func TestNewConnection(t *testing.T) {
	var mu sync.Mutex
	var from []string // the client's end of the connection of each request
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		from = append(from, r.RemoteAddr)
		fmt.Fprint(w, "hello")
	}))
	defer srv.Close()
	t.Setenv("AWS_CA_BUNDLE", "")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for name, client := range map[string]s3.HTTPClient{
		"http.Client": &http.Client{Transport: transport}, "the SDK's": awshttp.NewBuildableClient(), "the default": nil,
		"other": struct{ *http.Client }{&http.Client{Transport: transport}},
	} {
		t.Run(name, func(t *testing.T) {
			from = nil
			c := s3.New(s3.Options{BaseEndpoint: aws.String(srv.URL), Region: "us-east-1", UsePathStyle: true, HTTPClient: client, Credentials: aws.AnonymousCredentials{}})
			object := s3source.Bucket{Client: c, Name: "models"}.Object("k")
			for _, dial := range []bool{false, false, true, false, false, true} {
				resp, err := object.Fetch(t.Context(), filecache.Request{NewConnection: dial})
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			for i, fresh := range []bool{true, false, true, true, false, true} {
				// For "other", only idle connections can be closed. The next request may
				// use the new one.
				if i == 3 && name == "other" {
					continue
				}
				if got := !slices.Contains(from[:i], from[i]); got != fresh {
					t.Errorf("request %d on a new connection: %v, want %v", i, got, fresh)
				}
			}
		})
		srv.CloseClientConnections()
	}
}
