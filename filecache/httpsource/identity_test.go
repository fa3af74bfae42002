package httpsource_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

func idOf(t *testing.T, u string) filecache.ID {
	t.Helper()
	id, err := httpsource.Source{}.Object(u).ID()
	if err != nil {
		t.Fatalf("%s: %v", u, err)
	}
	return id
}

func TestIdentity(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://h/a/b.bin", "https://h/a/b.bin"},
		{"http://h/a", "http://h/a"},
		{"HTTPS://H.Example:443/A", "https://h.example/A"},
		{"http://h:80/a", "http://h/a"},
		{"http://h:443/a", "http://h:443/a"},
		{"http://h:/a", "http://h/a"},
		{"http://[::1]:8080/a", "http://[::1]:8080/a"},
		{"https://h", "https://h/?"},
		{"https://h/", "https://h/?"},
		{"https://h/a#part", "https://h/a"},
		{"https://h/a%20b%2Fc", "https://h/a%20b%2Fc"},
		{"https://h/a?", "https://h/a"},
		{"https://h/a?versionId=7", "https://h/a?version=7"},
	} {
		if got := idOf(t, tt.url); got.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
	}
}

func TestVersion(t *testing.T) {
	const signature = "&X-Amz-Signature=s"
	for query, want := range map[string]string{
		"versionId=7":               "7",
		"versionId=a%2Bb":           "a+b",
		"x=1&versionId=7&y=2":       "7",
		"versionId=null":            "", // S3 replaces it
		"versionId=":                "",
		"versionId=7&versionId=8":   "", // ambiguous
		"versionid=7":               "",
		"response-versionId=7":      "",
		"uploadId=7":                "",
		"X-Amz-versionId=7":         "",
		"versionId=7;versionId=8":   "7;versionId=8",
		"%76ersionId=7":             "7",
		"versionId=null&versionId=": "",
	} {
		if got := idOf(t, "https://h/a?"+query+signature).Version; got != want {
			t.Errorf("%s: version %q, want %q", query, got, want)
		}
	}
	if a, b := idOf(t, "https://h/a?versionId=null"), idOf(t, "https://h/a"); a == b {
		t.Error("the null version is not always the current one")
	}
}

// URLs of one object with different signatures are one object.
func TestRenewedSignatures(t *testing.T) {
	for name, urls := range map[string][]string{
		"AWS version 4": {
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101%2Fus-east-1%2Fs3%2Faws4_request" +
				"&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=aaaa",
			"https://b.s3.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=ASIA%2F20260102%2Fus-east-1%2Fs3%2Faws4_request" +
				"&X-Amz-Date=20260102T000000Z&X-Amz-Expires=60&X-Amz-Security-Token=tttt&X-Amz-SignedHeaders=host%3Bx&x-id=GetObject" +
				"&x-amz-checksum-mode=ENABLED&X-Amz-Signature=bbbb",
			"https://b.s3.amazonaws.com/k?X-Amz-S3session-Token=uuuu&X%2DAmz-Signature=cccc",
			"https://b.s3.amazonaws.com/k",
		},
		"AWS version 2": {
			"https://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA&Signature=a%3D&Expires=1",
			"https://b.s3.amazonaws.com/k?AWSAccessKeyId=ASIA&Signature=b%3D&Expires=2&x-amz-security-token=tttt",
			"https://b.s3.amazonaws.com/k",
		},
		"Google version 4": {
			"https://storage.googleapis.com/b/k?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Credential=me&X-Goog-Date=1&X-Goog-Expires=9" +
				"&X-Goog-SignedHeaders=host&X-Goog-Signature=aaaa",
			"https://storage.googleapis.com/b/k?x-goog-signature=bbbb",
			"https://storage.googleapis.com/b/k",
		},
		"Google version 2": {
			"https://storage.googleapis.com/b/k?GoogleAccessId=me&Expires=1&Signature=a",
			"https://storage.googleapis.com/b/k?GoogleAccessId=you&Expires=2&Signature=b",
			"https://storage.googleapis.com/b/k",
		},
		"CloudFront": {
			"https://d.cloudfront.net/k?Expires=1&Signature=a&Key-Pair-Id=K1",
			"https://d.cloudfront.net/k?Policy=p&Signature=b&Key-Pair-Id=K2",
			"https://d.cloudfront.net/k",
		},
		"Azure": {
			"https://a.blob.core.windows.net/c/k?sv=2024-11-04&ss=b&srt=o&sp=r&st=1&se=2&sip=1.2.3.4&spr=https&sig=a%3D",
			"https://a.blob.core.windows.net/c/k?sv=2025-01-05&sr=b&sp=rl&se=3&skoid=o&sktid=t&skt=1&ske=2&sks=b&skv=v&sig=b%3D",
			"https://a.blob.core.windows.net/c/k",
		},
		"passwords": {"https://alice:one@h/k", "https://alice:two@h/k", "https://alice@h/k"},
		"content and version": {
			"https://h/k?partNumber=2&versionId=7&X-Amz-Date=1&X-Amz-Signature=a&response-content-type=x",
			"https://h/k?partNumber=2&response-content-type=x&versionId=7&X-Amz-Signature=b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, u := range urls[1:] {
				if a, b := idOf(t, urls[0]), idOf(t, u); a != b {
					t.Errorf("%s\nis %s\nand not %s", u, b, a)
				}
			}
		})
	}
}

// URLs that may have different bytes are different objects.
func TestDifferentObjects(t *testing.T) {
	urls := []string{
		"https://h/k", "http://h/k", "https://h:444/k", "https://h/K", "https://h/k/", "https://h//k", "https://h/", "https://h//",
		"https://h/a/b", "https://h/a%2Fb", "https://h/%3F",
		"https://h/k?a=1", "https://h/k?a=2", "https://h/k?a=1&b=2", "https://h/k?b=2&a=1", "https://h/k?a=1%26b=2", "https://h/k?a=1b=2", "https://h/k?a",
		"https://h/k?a=+", "https://h/k?a=%20",
		"https://alice@h/k", "https://bob@h/k", "https://alice@h/k?a=1", "https://h/k?alice@a=1",
		"https://h/k?versionId=7", "https://h/k?versionId=8", "https://h/k?versionId=null", "https://h/k?versionId=", "https://h/k?versionId=7&partNumber=1",
		"https://h/k?partNumber=1&X-Amz-Signature=s", "https://h/k?partNumber=2&X-Amz-Signature=s",
		"https://h/k?response-content-encoding=gzip&X-Amz-Signature=s", "https://h/k?response-content-type=a&X-Amz-Signature=s",
		"https://h/k?snapshot=1&sv=1&se=1&sig=s", "https://h/k?snapshot=2&sv=1&se=1&sig=s", "https://h/k?rsct=a&sv=1&se=1&sig=s",
		"https://h/k?generation=1&X-Goog-Signature=s", "https://h/k?generation=2&X-Goog-Signature=s",
		// A part of a signature's parameters is not a signature.
		"https://h/k?Expires=1", "https://h/k?Expires=2", "https://h/k?Signature=1", "https://h/k?Policy=1", "https://h/k?Key-Pair-Id=1",
		"https://h/k?sp=1", "https://h/k?sp=2", "https://h/k?se=1", "https://h/k?st=1", "https://h/k?sv=1&sp=1", "https://h/k?sig=1&sp=1",
		"https://h/k?AWSAccessKeyId=1", "https://h/k?X-Amz-Date=1", "https://h/k?X-Goog-Date=1", "https://h/k?x-id=1",
		"https://h/k?sp=3&X-Amz-Signature=s", "https://h/k?Expires=3&X-Amz-Signature=s", "https://h/k?Policy=3&X-Goog-Signature=s",
		"https://h/k?X-Goog-Date=2&X-Amz-Signature=s", "https://h/k?AWSAccessKeyId=2&Expires=1&Key-Pair-Id=1",
		"https://h/k?myX-Amz-Date=1&X-Amz-Signature=s",
	}
	seen := map[filecache.ID]string{}
	for _, u := range urls {
		id := idOf(t, u)
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s are both %s", u, other, id)
		}
		seen[id] = u
	}
}

func TestNamed(t *testing.T) {
	var s httpsource.Source
	a, err := s.Named("report 7", "https://one/SECRETPATH?strange=SECRET1").ID()
	b, _ := s.Named("report 7", "https://two/OTHERSECRET?strange=SECRET2").ID()
	if err != nil || a != b || a.String() != "httpsource/report 7" {
		t.Errorf("%v, %v, %v", a, b, err)
	}
	if c, _ := s.Named("report 7", "https://one/a?versionId=2").ID(); c == a || c.Version != "2" {
		t.Errorf("a version of it: %v", c)
	}
	if _, err := s.Named("", "https://one/a").ID(); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("no name: %v", err)
	}
	if _, err := s.Named("x", "ftp://one/a").ID(); err == nil {
		t.Error("a name does not make a URL good")
	}
}

func TestBadURLs(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"", "empty"},
		{"/a/b?sig=SECRET", "no scheme"},
		{"h/a?sig=SECRET", "no scheme"},
		{"//h/a?sig=SECRET", "no scheme"},
		{"file:///etc/passwd", `"file"`},
		{"ftp://u:SECRET@h/a", `"ftp"`},
		{"s3://bucket/key", `"s3"`},
		{"user:SECRET@h/a", "//"},
		{"https:SECRET", "//"},
		{"https:///a?sig=SECRET", "host"},
		{"https://:443/a", "host"},
		{"https://u:SECRET@/a", "host"},
		{"https://h/%zz?sig=SECRET", "escape"},
		{"https://h/%SECRET", "parsed"},
		{"https://h:SECRET/a", "port"},
		{"https://u SECRET@h/a", "userinfo"},
		{"https://h SECRET/a", "character"},
		{"https://[SECRET/a", "]"},
		{"https://[SECRET]/a", "host"},
		{"https://h/a\nSECRET", "control character"},
		{":SECRET", "scheme"},
		{"SECRET", "no scheme"},
	} {
		o := httpsource.Source{}.Object(tt.url)
		_, err := o.ID()
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "SECRET") ||
			!strings.HasPrefix(err.Error(), "httpsource: ") || strings.HasSuffix(err.Error(), ": ") {
			t.Errorf("%q: %v, want an error with %s", tt.url, err, tt.want)
		}
		if _, ferr := o.Fetch(background, filecache.Request{}); ferr != err {
			t.Errorf("%q: Fetch = %v", tt.url, ferr)
		}
	}
	if _, err := (httpsource.Source{MaxSize: -1}).Object("https://h/a").ID(); err == nil || !strings.Contains(err.Error(), "MaxSize") {
		t.Errorf("negative MaxSize: %v", err)
	}
}

// For any URL, neither the ID nor an error has one of its secrets.
func FuzzSecrets(f *testing.F) {
	for _, s := range []string{"0123456789abcdef", "a/b+c=0123456789", "%2Fab%zz0123456789", `q"uo\te0123456789`, "sp ace?&#@:0123", "\x00\xff0123456789", "%0123456789"} {
		for _, p := range []string{"X-Amz-Signature", "Signature", "sig", "token", ""} {
			f.Add(s, p, "/a/b")
		}
	}
	f.Fuzz(func(t *testing.T, secret, name, path string) {
		// Short values and common parts of URLs would be found everywhere.
		if len(secret) < 8 || strings.Count("https://host/ httpsource: REDACTED the URL cannot be parsed in userinfo scheme", secret) > 0 || strings.Contains(path, secret) {
			return
		}
		esc := url.QueryEscape(secret)
		for _, raw := range []string{
			"https://host" + path + "?" + name + "=" + secret,
			"https://host" + path + "?" + name + "=" + esc + "&versionId=1",
			"https://host" + path + "?AWSAccessKeyId=" + secret + "&Expires=1&Signature=" + secret,
			"https://" + esc + ":x@host" + path,
			"https://user:" + secret + "@host" + path,
			"https://user:" + esc + "@host" + path,
			"https://host:" + secret + path,
			"user:" + secret + "@host" + path,
		} {
			check := func(what, text string) {
				t.Helper()
				if strings.Contains(text, secret) || strings.Contains(text, esc) {
					t.Errorf("%s of %q has the secret %q: %s", what, raw, secret, text)
				}
			}
			u, perr := url.Parse(raw)
			if perr == nil && (u.Host != "" && u.Host != "host" || strings.Contains(u.EscapedPath(), secret) || strings.Contains(u.EscapedPath(), esc)) {
				continue // a / or # in it made it a part of the host or the path
			}
			for _, mode := range []string{"url.Error", "text", "status"} {
				o := httpsource.Source{Client: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					switch mode {
					case "url.Error":
						return nil, fmt.Errorf("cannot: %w", &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("no")})
					case "text":
						return nil, fmt.Errorf("cannot %s and not %q %s", r.URL, r.URL, r.URL.RawQuery)
					}
					body := fmt.Sprintf("<Code>%s</Code> %s", secret, raw)
					return &http.Response{StatusCode: 403, Body: io.NopCloser(strings.NewReader(body)), Status: body, Request: r}, nil
				})}}.Object(raw)
				id, err := o.ID()
				if err != nil {
					check("the ID's error", err.Error())
					continue
				}
				if id.Version != secret {
					check("the ID", fmt.Sprintf("%s %+v", id, id))
				}
				if _, err := o.Fetch(background, filecache.Request{}); err == nil {
					t.Errorf("no error of %s", mode)
				} else {
					check("the error", err.Error())
				}
			}
		}
	})
}
