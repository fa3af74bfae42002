package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// margin is the minimum remaining lifetime of a cached URL: the time for a user to
// start the download.
const margin = 5 * time.Minute

// service holds the state that lives as long as the process.
type service struct {
	signer signer
	urls   *cache.Cache[Key, Signed] // only for downloads
}

func newService(s signer) *service {
	return &service{
		signer: s,
		urls: cache.Must(cache.New(cache.Options[Key, Signed]{
			Load:  func(ctx context.Context, key Key) (Signed, error) { return s.get(ctx, key.object()) },
			TTL:   signature - margin,
			TTLOf: func(_ Key, u Signed) time.Duration { return time.Until(u.Expires) - margin },
		})),
	}
}

// Key has every input of a URL. A URL grants access, so without the user in the key
// one user would get the URL of another.
type Key struct{ Tenant, User, Name string }

// object returns the S3 key. Tenant and user have no slash, so no two Keys share
// one.
func (k Key) object() string { return path.Join(k.Tenant, k.User, k.Name) }

// In is the event.
type In struct {
	Tenant string `json:"tenant"`
	User   string `json:"user"`
	Do     string `json:"do"`   // get, put or post
	Name   string `json:"name"` // of the file, such as "2026/report.pdf"
	Size   int64  `json:"size"` // exact for a put, a maximum for a post
}

// Out is the answer: the request to send to S3.
type Out struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Fields  map[string]string `json:"fields,omitempty"`
	Expires int64             `json:"expires"` // seconds since 1970
}

// handle answers one event. It does not depend on the host.
func (s *service) handle(ctx context.Context, in In) (Out, error) {
	if err := in.validate(); err != nil {
		return Out{}, fmt.Errorf("presign: %w", err)
	}
	u, err := s.sign(ctx, in)
	if err != nil {
		return Out{}, fmt.Errorf("presign: %s of %q: %w", in.Do, in.Name, err)
	}
	return Out{
		Method:  u.Method,
		URL:     u.URL,
		Headers: u.Headers,
		Fields:  u.Fields,
		Expires: u.Expires.Unix(),
	}, nil
}

// sign caches downloads only: each upload is signed for its own size.
func (s *service) sign(ctx context.Context, in In) (Signed, error) {
	key := Key{Tenant: in.Tenant, User: in.User, Name: in.Name}
	switch in.Do {
	case "put":
		return s.signer.put(ctx, key.object(), in.Size)
	case "post":
		return s.signer.post(ctx, key.object(), in.Size)
	default:
		return s.get(ctx, key)
	}
}

// get is the only function that uses the cache: WARMCACHE=off signs each time.
func (s *service) get(ctx context.Context, key Key) (Signed, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return s.signer.get(ctx, key.object())
	}
	return s.urls.Get(ctx, key)
}

// Limits of an event.
const (
	maxName = 200
	maxSize = 5 << 30 // the limit of S3 for one request
)

func (in In) validate() error {
	switch {
	case !isElement(in.Tenant) || !isElement(in.User):
		return errors.New("the event needs a tenant and a user: they must not be empty, \".\" or \"..\", or contain a slash")
	case !fs.ValidPath(in.Name) || in.Name == ".":
		return fmt.Errorf("name is %.50q: it must be a path without empty and dot elements", in.Name)
	case max(len(in.Tenant), len(in.User), len(in.Name)) > maxName:
		return fmt.Errorf("the tenant, user or name is longer than %d bytes", maxName)
	}
	switch in.Do {
	case "get":
		return nil
	case "put", "post":
		if in.Size < 1 || in.Size > maxSize {
			return fmt.Errorf("size is %d: it must be 1 to %d", in.Size, int64(maxSize))
		}
		return nil
	}
	return fmt.Errorf("do is %.50q: it must be get, put or post", in.Do)
}

// isElement reports whether s can be a single element of a path.
func isElement(s string) bool {
	return fs.ValidPath(s) && s != "." && !strings.Contains(s, "/")
}
