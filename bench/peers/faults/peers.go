package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/djherbis/fscache"
	"github.com/gregjones/httpcache"
	"github.com/gregjones/httpcache/diskcache"
	"github.com/peterbourgon/diskv/v3"
	gocache "github.com/rogpeppe/go-internal/cache"

	"github.com/warmcache/warmcache/filecache"
)

// peer is a library as this program uses it.
type peer struct {
	name, note string
	// open is what a process does when it begins.
	open func(dir string, from *source) (read, error)
}

// read returns the object, from the copy or from the origin.
type read func(key string) ([]byte, error)

func peers() []peer {
	return []peer{
		{"warmcache", "MaxAge 0: the origin is asked on every Open whether the copy is current", openWarm},
		{"by hand", "os.Stat; if it is not there, os.Create and io.Copy", openByHand},
		{"by hand, rename", "os.Stat; if it is not there, to a temporary file and os.Rename", openByHandRename},
		{"diskv", "as its README; Read, else WriteStream", openDiskv("")},
		{"diskv, TempDir", "the same with Options.TempDir, which makes writes atomic", openDiskv("tmp")},
		{"httpcache", "gregjones/httpcache on its diskcache; no-cache, so that the ETag is asked about on every Get", openHTTP},
		{"fscache", "djherbis/fscache, as its README, for an hour", openFscache},
		{"go cache, GetFile", "rogpeppe/go-internal/cache, which is that of the go command; keys are hashed", openGo(true)},
		{"go cache, GetBytes", "the same by the method that verifies by SHA-256", openGo(false)},
	}
}

func openWarm(dir string, from *source) (read, error) {
	files, err := filecache.New(filecache.Options{Dir: dir})
	return func(key string) ([]byte, error) { return files.ReadFile(context.Background(), object{key, from}) }, err
}

// object is one of the source's.
type object struct {
	key  string
	from *source
}

func (o object) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "source://", Name: o.key}, nil
}

func (o object) Fetch(_ context.Context, req filecache.Request) (*filecache.Response, error) {
	b, etag := o.from.get(o.key)
	switch {
	case req.IfNoneMatch == etag:
		return &filecache.Response{NotModified: true}, nil
	case req.IfMatch != "" && req.IfMatch != etag:
		return nil, filecache.ErrChanged
	}
	n := int64(len(b)) - req.Offset
	if req.Length > 0 {
		n = min(n, req.Length)
	}
	r := o.from.fetch(o.key)
	if _, err := io.CopyN(io.Discard, r, req.Offset); err != nil {
		return nil, err
	}
	return &filecache.Response{Body: io.NopCloser(io.LimitReader(r, n)), Size: int64(len(b)), ETag: etag}, nil
}

func openByHand(dir string, from *source) (read, error) {
	return func(key string) ([]byte, error) {
		name := filepath.Join(dir, key)
		if _, err := os.Stat(name); err != nil {
			f, err := os.Create(name)
			if err != nil {
				return nil, err
			}
			defer f.Close()
			if _, err := io.Copy(f, from.fetch(key)); err != nil {
				return nil, err
			}
		}
		return os.ReadFile(name)
	}, os.MkdirAll(dir, 0o700)
}

func openByHandRename(dir string, from *source) (read, error) {
	return func(key string) ([]byte, error) {
		name := filepath.Join(dir, key)
		if _, err := os.Stat(name); err != nil {
			f, err := os.CreateTemp(dir, "tmp")
			if err != nil {
				return nil, err
			}
			defer os.Remove(f.Name())
			defer f.Close()
			if _, err := io.Copy(f, from.fetch(key)); err != nil {
				return nil, err
			}
			if err := os.Rename(f.Name(), name); err != nil {
				return nil, err
			}
		}
		return os.ReadFile(name)
	}, os.MkdirAll(dir, 0o700)
}

func openDiskv(temp string) func(string, *source) (read, error) {
	return func(dir string, from *source) (read, error) {
		o := diskv.Options{BasePath: filepath.Join(dir, "data"), Transform: func(string) []string { return []string{} }, CacheSizeMax: 1 << 20}
		if temp != "" {
			o.TempDir = filepath.Join(dir, temp)
		}
		d := diskv.New(o)
		return func(key string) ([]byte, error) {
			if b, err := d.Read(key); err == nil {
				return b, nil
			}
			if err := d.WriteStream(key, from.fetch(key), false); err != nil {
				return nil, err
			}
			return d.Read(key)
		}, nil
	}
}

func openHTTP(dir string, from *source) (read, error) {
	t := httpcache.NewTransport(diskcache.New(dir))
	t.Transport = roundTripper(func(r *http.Request) (*http.Response, error) { return from.answer(r), nil })
	client := &http.Client{Transport: t}
	return func(key string) ([]byte, error) {
		resp, err := client.Get("http://origin.invalid/" + key)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, errors.New(resp.Status)
		}
		return io.ReadAll(resp.Body)
	}, nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer is what a server would send.
func (s *source) answer(r *http.Request) *http.Response {
	key := strings.TrimPrefix(r.URL.Path, "/")
	b, etag := s.get(key)
	resp := &http.Response{
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Body: http.NoBody, StatusCode: http.StatusNotModified, Status: "304 Not Modified",
		Header: http.Header{"Etag": {etag}, "Cache-Control": {"no-cache"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
	}
	if r.Header.Get("If-None-Match") == etag {
		return resp
	}
	resp.StatusCode, resp.Status = http.StatusOK, "200 OK"
	resp.ContentLength = int64(len(b))
	resp.Header.Set("Content-Length", strconv.Itoa(len(b)))
	resp.Body = io.NopCloser(s.fetch(key))
	return resp
}

func openFscache(dir string, from *source) (read, error) {
	c, err := fscache.New(dir, 0o700, time.Hour)
	if err != nil {
		return nil, err
	}
	return func(key string) ([]byte, error) {
		r, w, err := c.Get(key)
		if err != nil {
			return nil, err
		}
		if w != nil {
			_, err := io.Copy(w, from.fetch(key))
			if cerr := w.Close(); err == nil {
				err = cerr
			}
			if err != nil {
				r.Close() // Remove waits for it, and a second Close panics
				return nil, errors.Join(err, c.Remove(key))
			}
		}
		defer r.Close()
		return io.ReadAll(r)
	}, nil
}

func openGo(file bool) func(string, *source) (read, error) {
	return func(dir string, from *source) (read, error) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		c, err := gocache.Open(dir)
		if err != nil {
			return nil, err
		}
		return func(key string) ([]byte, error) {
			id := gocache.ActionID(sha256.Sum256([]byte(key)))
			if file {
				if name, _, err := c.GetFile(id); err == nil {
					return os.ReadFile(name)
				}
			} else if b, _, err := c.GetBytes(id); err == nil {
				return b, nil
			}
			b, err := io.ReadAll(from.fetch(key))
			if err != nil {
				return nil, err
			}
			c.Put(id, bytes.NewReader(b)) // what cannot be kept is still the answer
			return b, nil
		}, nil
	}
}
