package httpsource

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/internal/keys"
)

// parse parses a URL. Its errors do not repeat the URL, since part of a malformed
// one may be a password.
func parse(raw string) (*url.URL, error) {
	if raw == "" {
		return nil, errors.New("httpsource: the URL is empty")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("httpsource: the URL cannot be parsed: " + reason(err))
	case u.Scheme == "":
		return nil, errors.New("httpsource: the URL is relative: it has no scheme")
	case u.Opaque != "": // user:password@host looks like that
		return nil, errors.New("httpsource: the URL has no // after its scheme")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("httpsource: the URL's scheme is %q: it must be http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("httpsource: the URL has no host")
	}
	return u, nil
}

// reason returns the text of net/url's error up to the quoted URL.
func reason(err error) string {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	text, _, _ := strings.Cut(err.Error(), `"`)
	return strings.TrimRight(text, " (")
}

// identify returns the identity of the object at u.
//
// It includes a hash of the unsigned parameters, since those of an unknown service
// may be secrets, and of the user name, which may be a token.
func identify(u *url.URL) filecache.ID {
	id := filecache.ID{Origin: u.Scheme + "://" + host(u), Name: strings.TrimPrefix(u.EscapedPath(), "/")}
	params := unsigned(split(u.RawQuery))
	id.Version, params = takeVersion(params)

	if len(params) > 0 || u.User != nil {
		b := keys.AppendString(nil, u.User.Username())
		for _, p := range params {
			b = keys.AppendString(b, p.raw)
		}
		sum := sha256.Sum256(b)
		id.Name += "?" + base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if id.Name == "" {
		id.Name = "?" // the root: a name must not be empty
	}
	return id
}

// host returns the host in its one spelling.
func host(u *url.URL) string {
	h := strings.ToLower(u.Host)
	switch u.Scheme {
	case "http":
		h = strings.TrimSuffix(h, ":80")
	case "https":
		h = strings.TrimSuffix(h, ":443")
	}
	return strings.TrimSuffix(h, ":")
}

// param is a parameter of a query, in its order and original spelling. Servers
// differ in which spellings they treat as equal.
type param struct{ raw, name, value string }

func split(query string) []param {
	var params []param
	for raw := range strings.SplitSeq(query, "&") {
		if raw != "" {
			name, value, _ := strings.Cut(raw, "=")
			params = append(params, param{raw, unescape(name), unescape(value)})
		}
	}
	return params
}

func unescape(s string) string {
	if t, err := url.QueryUnescape(s); err == nil {
		return t
	}
	return s
}

// takeVersion splits off the parameter that pins the bytes. "null" does not: it is
// the version of objects in an S3 bucket without versioning, which S3 overwrites.
func takeVersion(params []param) (version string, rest []param) {
	for _, p := range params {
		switch {
		case p.name != "versionId":
			rest = append(rest, p)
		case version != "" || p.value == "" || p.value == "null":
			return "", params
		default:
			version = p.value
		}
	}
	return version, rest
}

// A signature is a way to sign URLs.
type signature struct {
	has    []string // parameters that are all there when a URL is signed this way
	names  []string // parameters that hold the permission and its end
	prefix string   // of more such parameters, in lower case
}

// signatures lists the known kinds. Their parameters are removed only from URLs
// signed that way, since other services have an "expires" or "sp" that selects
// content. Overrides of the answer's header (response-content-type and others) stay
// part of the identity: some select bytes.
var signatures = [...]signature{
	{ // AWS version 4, and S3 Express. x-id is the SDKs' name of the operation.
		has: []string{"X-Amz-Signature"}, prefix: "x-amz-", names: []string{"x-id"},
	},
	{ // AWS version 2
		has:   []string{"AWSAccessKeyId", "Signature", "Expires"},
		names: []string{"AWSAccessKeyId", "Signature", "Expires"}, prefix: "x-amz-",
	},
	{ // Google version 4
		has: []string{"X-Goog-Signature"}, prefix: "x-goog-",
	},
	{ // Google version 2
		has:   []string{"GoogleAccessId", "Signature", "Expires"},
		names: []string{"GoogleAccessId", "Signature", "Expires"}, prefix: "x-goog-",
	},
	{ // CloudFront, with a policy of its own or a canned one
		has:   []string{"Key-Pair-Id", "Signature"},
		names: []string{"Key-Pair-Id", "Signature", "Policy", "Expires"},
	},
	{ // Azure shared access: of an account, of a service, delegated by a user
		has: []string{"sig", "sv", "se"},
		names: []string{"sig", "sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "ses", "sdd",
			"skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid"},
	},
}

// unsigned returns the parameters without those of a known signature.
func unsigned(params []param) []param {
	for _, s := range signatures {
		if s.signs(params) {
			params = s.strip(params)
		}
	}
	return params
}

func (s *signature) signs(params []param) bool {
	for _, name := range s.has {
		if !contains(params, name) {
			return false
		}
	}
	return true
}

func contains(params []param, name string) bool {
	for _, p := range params {
		if strings.EqualFold(p.name, name) {
			return true
		}
	}
	return false
}

func (s *signature) strip(params []param) []param {
	var rest []param
	for _, p := range params {
		if !s.owns(p.name) {
			rest = append(rest, p)
		}
	}
	return rest
}

func (s *signature) owns(name string) bool {
	if s.prefix != "" && strings.HasPrefix(strings.ToLower(name), s.prefix) {
		return true
	}
	for _, n := range s.names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
