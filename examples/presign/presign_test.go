package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// provider returns credentials, such as those of a role, and counts the calls: one
// for each signature.
type provider struct {
	asked    atomic.Int64
	err      error
	lifetime time.Duration // zero: they never expire
	until    time.Time
}

func (p *provider) Retrieve(context.Context) (aws.Credentials, error) {
	p.asked.Add(1)
	c := aws.Credentials{SecretAccessKey: "secret", SessionToken: "token"}
	if p.lifetime != 0 {
		if !time.Now().Before(p.until) {
			p.until = time.Now().Add(p.lifetime)
		}
		c.CanExpire, c.Expires = true, p.until
	}
	c.AccessKeyID = p.key()
	return c, p.err
}

// key returns the access key ID of the latest credentials.
func (p *provider) key() string { return fmt.Sprint("key", p.until.Unix()) }

// container is one of several with the same credentials.
type container struct {
	*service
	*provider
}

func newContainer(lifetime time.Duration) container {
	p := &provider{lifetime: lifetime}
	client := s3.New(s3.Options{Region: "eu-central-1", Credentials: p})
	return container{newService(newSigner(client, "files")), p}
}

// do returns the answer to in, and whether it had to be signed.
func (c container) do(t *testing.T, in In) (out Out, signed bool) {
	t.Helper()
	before := c.asked.Load()
	out, err := c.handle(t.Context(), in)
	if err != nil {
		t.Errorf("%+v: %v", in, err)
	}
	return out, c.asked.Load() > before
}

func get(tenant, user, name string) In { return In{Tenant: tenant, User: user, Do: "get", Name: name} }

func put(size int64) In {
	return In{Tenant: "blue", User: "ann", Do: "put", Name: "scan.tiff", Size: size}
}

func post(size int64) In {
	return In{Tenant: "blue", User: "ann", Do: "post", Name: "scan.tiff", Size: size}
}

// The clock does not advance, so equal requests have equal signatures.
func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	events := []In{
		get("blue", "ann", "a.pdf"), get("green", "ann", "a.pdf"), get("blue", "bob", "a.pdf"), get("blue", "ann", "b/c.pdf"),
		get("blue", "ann", "a.pdf"), get("green", "ann", "a.pdf"), put(7 << 20), post(7 << 20), put(0), get("", "", ""),
	}
	synctest.Test(t, func(t *testing.T) {
		play := func(cold bool) (answers []string) {
			c := newContainer(time.Hour)
			for _, in := range events {
				if cold {
					c = newContainer(time.Hour)
				}
				out, err := c.handle(t.Context(), in)
				answers = append(answers, fmt.Sprintf("%+v, %v", out, err))
			}
			return answers
		}
		t.Setenv("WARMCACHE", "off")
		want := play(false)
		t.Setenv("WARMCACHE", "")
		for _, cold := range []bool{true, false} {
			if got := play(cold); !reflect.DeepEqual(got, want) {
				t.Errorf("cold %v: %q\nwithout the cache: %q", cold, got, want)
			}
		}
	})
}

func TestConcurrentInvocations(t *testing.T) {
	for setting, signatures := range map[string]int64{"": 2, "off": 8 * 20} {
		t.Run("WARMCACHE="+setting, func(t *testing.T) {
			t.Setenv("WARMCACHE", setting)
			testConcurrentInvocations(t, signatures)
		})
	}
}

func testConcurrentInvocations(t *testing.T, signatures int64) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer(0)
		want := map[In]Out{}
		for _, tenant := range []string{"blue", "green"} {
			in := get(tenant, "ann", "a.pdf")
			want[in], _ = newContainer(0).do(t, in)
		}
		var invocations sync.WaitGroup
		for range 4 {
			for in, want := range want {
				invocations.Go(func() {
					for range 20 {
						if out, _ := c.do(t, in); !reflect.DeepEqual(out, want) {
							t.Errorf("%+v, want %+v", out, want)
						}
					}
				})
			}
		}
		invocations.Wait()
		if asked := c.asked.Load(); asked != signatures {
			t.Errorf("%d signatures of two URLs, want %d", asked, signatures)
		}
	})
}

func TestSecondGetSignsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for setting, want := range map[string]bool{"": false, "off": true} {
			t.Setenv("WARMCACHE", setting)
			c := newContainer(0)
			first, _ := c.do(t, get("blue", "ann", "a.pdf"))
			time.Sleep(time.Second)
			second, signed := c.do(t, get("blue", "ann", "a.pdf"))
			if signed != want || (first.URL == second.URL) == want {
				t.Errorf("WARMCACHE=%s: signed again: %v", setting, signed)
			}
		}
	})
}

// end returns the end of a URL according to its query.
func end(t *testing.T, signed string) time.Time {
	t.Helper()
	u, err := url.Parse(signed)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse("20060102T150405Z", u.Query().Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(u.Query().Get("X-Amz-Expires"))
	if err := errors.Join(err, err2); err != nil {
		t.Fatalf("%s: %v", signed, err)
	}
	return at.Add(time.Duration(seconds) * time.Second)
}

// For hours of requests, with credentials that live for minutes or hours, a cached
// URL always has the margin left. That holds for its signature and for the
// credentials that signed it.
func TestCachedURLsEndBeforeTheirSignatureAndCredentials(t *testing.T) {
	for _, lifetime := range []time.Duration{0, time.Minute, margin, margin + 1, 6 * time.Minute, 14 * time.Minute, time.Hour} {
		t.Run(lifetime.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newContainer(lifetime)
				credentials := map[string]time.Time{} // by URL: when the credentials that signed it end
				hits := 0
				for range 400 {
					time.Sleep(17*time.Second + 311*time.Millisecond)
					out, signed := c.do(t, get("blue", "ann", "a.pdf"))
					if signed {
						credentials[out.URL] = c.until
						if !strings.Contains(out.URL, c.key()) {
							t.Fatalf("%s is not signed with %s", out.URL, c.key())
						}
					}
					real := end(t, out.URL)
					if until := credentials[out.URL]; lifetime != 0 && until.Before(real) {
						real = until
					}
					if out.Expires != real.Unix() {
						t.Fatalf("said to end at %d, and does at %d", out.Expires, real.Unix())
					}
					if left := time.Until(real); !signed && left < margin {
						t.Fatalf("a cached URL with %v left", left)
					}
					if !signed {
						hits++
					}
				}
				if wantHits := lifetime == 0 || lifetime > margin+20*time.Second; hits > 0 != wantHits {
					t.Errorf("%d of 400 were cached", hits)
				}
			})
		})
	}
}

// The margin is exact to the nanosecond.
func TestTheMargin(t *testing.T) {
	for _, lifetime := range []time.Duration{0, 8 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := newContainer(lifetime)
			in := get("blue", "ann", "a.pdf")
			time.Sleep(700 * time.Millisecond) // a signature has whole seconds
			c.do(t, in)
			good := signature - 700*time.Millisecond
			if lifetime != 0 {
				good = lifetime
			}
			time.Sleep(good - margin - 1)
			if _, signed := c.do(t, in); signed {
				t.Error("signed again before the margin began")
			}
			time.Sleep(time.Nanosecond)
			if _, signed := c.do(t, in); !signed {
				t.Error("cached into the margin")
			}
		})
	}
}

func TestUploadsAreNeverKept(t *testing.T) {
	c := newContainer(0)
	for range 2 {
		for _, in := range []In{put(1), post(1)} {
			if _, signed := c.do(t, in); !signed {
				t.Errorf("%s was not signed again", in.Do)
			}
		}
	}
	if n := c.urls.Len(); n != 0 {
		t.Errorf("%d are cached", n)
	}
}

// Each tenant and user gets URLs of its own objects only, in any order of requests.
func TestNobodyGetsAnothersURL(t *testing.T) {
	c := newContainer(0)
	names := []string{"a", "b", "a b", "a%2Fb", "..."}
	seen := map[string]In{}
	for range 2 {
		for _, tenant := range names {
			for _, user := range names {
				for _, file := range append(names, "a/b", "b/a.pdf") {
					in := get(tenant, user, file)
					out, _ := c.do(t, in)
					u, err := url.Parse(out.URL)
					if err != nil || u.Path != "/"+tenant+"/"+user+"/"+file {
						t.Errorf("%+v: %s, %v", in, out.URL, err)
					}
					if before, ok := seen[u.Path]; ok && before != in {
						t.Errorf("%+v and %+v share %s", in, before, out.URL)
					}
					seen[u.Path] = in
				}
			}
		}
	}
}

// The tenant of the host overrides the one in the event.
func TestTenantOfTheHost(t *testing.T) {
	c := newContainer(0)
	for _, test := range []struct{ host, event, want string }{
		{"", "blue", "/blue/"},
		{"green", "", "/green/"},
		{"green", "blue", "/green/"},
	} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: test.host})
		out, err := c.handleFor(ctx, get(test.event, "ann", "a.pdf"))
		if err != nil || !strings.Contains(out.URL, test.want) {
			t.Errorf("host %q, event %q: %s, %v, want %s", test.host, test.event, out.URL, err, test.want)
		}
	}
}

// The signed request is complete: it needs exactly the headers in the answer.
func TestWhatIsSigned(t *testing.T) {
	c := newContainer(0)
	for _, test := range []struct {
		in      In
		signed  string
		headers map[string]string
	}{
		{get("blue", "ann", "a.pdf"), "host", nil},
		{put(7 << 20), "content-length;host", map[string]string{"Content-Length": "7340032"}},
	} {
		out, _ := c.do(t, test.in)
		u, err := url.Parse(out.URL)
		if err != nil {
			t.Fatal(err)
		}
		if got := u.Query().Get("X-Amz-SignedHeaders"); got != test.signed || out.Method != strings.ToUpper(test.in.Do) {
			t.Errorf("%s: %s signs %q, want %q", test.in.Do, out.Method, got, test.signed)
		}
		if len(out.Headers) != len(test.headers) || len(out.Headers) > 0 && !reflect.DeepEqual(out.Headers, test.headers) {
			t.Errorf("%s: headers %v, want %v", test.in.Do, out.Headers, test.headers)
		}
	}
}

func TestPolicyOfAPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer(0)
		out, _ := c.do(t, post(7<<20))
		b, err := base64.StdEncoding.DecodeString(out.Fields["policy"])
		if err != nil {
			t.Fatal(err)
		}
		var policy struct {
			Expiration time.Time
			Conditions []any
		}
		if err := json.Unmarshal(b, &policy); err != nil {
			t.Fatal(err)
		}
		if by := out.Fields["X-Amz-Credential"]; !strings.HasPrefix(by, c.key()+"/") {
			t.Errorf("signed with %s instead of %s", by, c.key())
		}
		if !policy.Expiration.Equal(time.Now().Add(signature)) || out.Expires != policy.Expiration.Unix() {
			t.Errorf("the policy ends at %v, the answer says %d", policy.Expiration, out.Expires)
		}
		for _, want := range []any{
			map[string]any{"bucket": "files"},
			map[string]any{"key": "blue/ann/scan.tiff"},
			[]any{"content-length-range", 1., 7. * (1 << 20)},
		} {
			found := false
			for _, condition := range policy.Conditions {
				found = found || reflect.DeepEqual(condition, want)
			}
			if !found {
				t.Errorf("no %v in %s", want, b)
			}
		}
	})
}

func TestNoCredentials(t *testing.T) {
	c := newContainer(0)
	c.err = errors.New("no credentials")
	for _, in := range []In{get("blue", "ann", "a.pdf"), put(1), post(1)} {
		if _, err := c.handle(t.Context(), in); !errors.Is(err, c.err) {
			t.Errorf("%s: error = %v", in.Do, err)
		}
	}
	c.err = nil
	c.do(t, get("blue", "ann", "a.pdf"))
}

func TestInvalidEvents(t *testing.T) {
	c := newContainer(0)
	long := strings.Repeat("x", maxName+1)
	for _, test := range []struct {
		in   In
		want string
	}{
		{get("", "ann", "a.pdf"), "needs a tenant and a user"},
		{get("blue", "", "a.pdf"), "needs a tenant and a user"},
		{get("blue/ann", "bob", "a.pdf"), "needs a tenant and a user"},
		{get("blue", "ann/bob", "a.pdf"), "needs a tenant and a user"},
		{get("blue", "..", "a.pdf"), "needs a tenant and a user"},
		{get(".", "ann", "a.pdf"), "needs a tenant and a user"},
		{get("blue", "ann", ""), `name is ""`},
		{get("blue", "ann", "."), `name is "."`},
		{get("blue", "ann", "../bob/a.pdf"), `name is "../bob/a.pdf"`},
		{get("blue", "ann", "/a.pdf"), `name is "/a.pdf"`},
		{get("blue", "ann", "a/../../b"), "name is"},
		{get("blue", "ann", long), "longer than 200"},
		{get(long, "ann", "a.pdf"), "longer than 200"},
		{put(0), "size is 0"},
		{post(-1), "size is -1"},
		{put(maxSize + 1), "size is 5368709121"},
		{In{Tenant: "blue", User: "ann", Name: "a.pdf"}, `do is ""`},
	} {
		if _, err := c.handle(t.Context(), test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error = %v, want it to say %q", test.in, err, test.want)
		}
	}
	if c.asked.Load() != 0 {
		t.Error("something was signed")
	}
}

func TestConfiguration(t *testing.T) {
	for name, value := range map[string]string{
		"PRESIGN_BUCKET": "", "S3_PATH_STYLE": "1", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "AWS_REGION": "eu-central-1",
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_PROFILE": "", "AWS_CA_BUNDLE": "",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	if _, err := signerFromEnv(); err == nil || !strings.Contains(err.Error(), "PRESIGN_BUCKET") {
		t.Errorf("error = %v", err)
	}
	t.Setenv("PRESIGN_BUCKET", "files")
	s, err := signerFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	out, err := newService(s).handle(t.Context(), put(1))
	if err != nil || !strings.HasPrefix(out.URL, "http://127.0.0.1:1/files/blue/ann/scan.tiff?") {
		t.Errorf("%s, %v", out.URL, err)
	}
}

// 7 MiB go around the function, which answers with a few hundred bytes. A test in
// bench checks that a real server accepts the signatures.
func Example() {
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintln(w, r.Method, r.URL.Path, n)
	}))
	defer store.Close()
	client := s3.New(s3.Options{
		Region: "eu-central-1", BaseEndpoint: &store.URL, UsePathStyle: true, Credentials: &provider{},
	})
	out, err := newService(newSigner(client, "files")).handle(context.Background(), put(7<<20))
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, _ := json.Marshal(out)
	fmt.Println(out.Method, out.Headers, len(answer) < 1000)

	r, _ := http.NewRequest(out.Method, out.URL, bytes.NewReader(make([]byte, 7<<20)))
	res, err := store.Client().Do(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer res.Body.Close()
	io.Copy(os.Stdout, res.Body)
	// Output:
	// PUT map[Content-Length:7340032] true
	// PUT /files/blue/ann/scan.tiff 7340032
}
