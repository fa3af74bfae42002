package faults

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
	// open opens the cache, as a new process does.
	open func(dir string, from *source) (read, error)
}

// read returns the object, from the copy or from the origin.
type read func(key string) ([]byte, error)

func peers() []peer {
	return []peer{
		{"warmcache", "MaxAge 0: every Open revalidates the copy at the origin", openWarm},
		{"by hand", "os.Stat; if it is missing, to a temporary file and os.Rename. With os.Create and io.Copy, full disks and kills make wrong bytes as well", openByHand},
		{"diskv", "Read, else WriteStream, with Options.TempDir: without that, kills make wrong bytes as well", openDiskv},
		{"httpcache", "gregjones/httpcache on its diskcache; no-cache, so that every Get revalidates by ETag", openHTTP},
		{"fscache", "djherbis/fscache, as its README, for an hour", openFscache},
		{"go cache", "rogpeppe/go-internal/cache, which is that of the go command, by GetBytes; GetFile verifies nothing but the size", openGo},
	}
}

func openWarm(dir string, from *source) (read, error) {
	files, err := filecache.New(filecache.Options{Dir: dir})
	return func(key string) ([]byte, error) { return files.ReadFile(context.Background(), object{key, from}) }, err
}

// object is an object of the source.
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

func openDiskv(dir string, from *source) (read, error) {
	d := diskv.New(diskv.Options{
		BasePath: filepath.Join(dir, "data"), TempDir: filepath.Join(dir, "tmp"),
		Transform: func(string) []string { return []string{} }, CacheSizeMax: 1 << 20,
	})
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

// answer is the response of a server.
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

func openGo(dir string, from *source) (read, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	c, err := gocache.Open(dir)
	return func(key string) ([]byte, error) {
		id := gocache.ActionID(sha256.Sum256([]byte(key)))
		if b, _, err := c.GetBytes(id); err == nil {
			return b, nil
		}
		b, err := io.ReadAll(from.fetch(key))
		if err == nil {
			c.Put(id, bytes.NewReader(b)) // an answer, whether it can be kept or not
		}
		return b, err
	}, err
}
