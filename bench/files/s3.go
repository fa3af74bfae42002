package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager"
	tmtypes "github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
	"github.com/warmcache/warmcache/internal/compare"
)

const bucket, key = "models", "model.bin"

// store is an S3 server with one object, and a client that counts its requests.
type store struct {
	*setup
	client   *s3.Client
	requests atomic.Int64
	size     int
	files    int // names used so far
}

// store starts a server; if slow, behind a gate with the latencies of S3.
func (s *setup) store(size int, slow bool) (*store, error) {
	server, err := origin.StartS3(s.ctx, filepath.Join(s.dir, "s3"))
	if err != nil {
		return nil, err
	}
	s.undo = append(s.undo, func() { server.Close() })
	endpoint := server.Endpoint()
	if slow {
		gate, err := origin.StartGate(endpoint, origin.GateOptions{FirstByte: origin.DefaultFirstByte, Bandwidth: origin.DefaultBandwidth})
		if err != nil {
			return nil, err
		}
		s.undo = append(s.undo, func() { gate.Close() })
		endpoint = gate.URL()
	}
	x := &store{setup: s, size: size}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	s.undo = append(s.undo, transport.CloseIdleConnections)
	x.client = server.ClientAt(endpoint, func(o *s3.Options) {
		o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
			x.requests.Add(1)
			return transport.RoundTrip(r)
		})
	})
	return x, errors.Join(server.CreateBucket(s.ctx, bucket), server.Put(s.ctx, bucket, key, origin.Object(size, 1)))
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// fresh returns a new name.
func (x *store) fresh() string {
	x.files++
	return filepath.Join(x.dir, fmt.Sprint("file", x.files))
}

// toFile samples the time in ms that f takes to fill a new file.
func (x *store) toFile(f func(*os.File) error) func() (float64, error) {
	return func() (float64, error) {
		name := x.fresh()
		defer os.Remove(name)
		return wall(func() error {
			file, err := os.Create(name)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := f(file); err != nil {
				return err
			}
			if fi, err := file.Stat(); err != nil || fi.Size() != int64(x.size) {
				return fmt.Errorf("the file does not have %d bytes: %v, %w", x.size, fi, err)
			}
			return nil
		})
	}
}

// largeObject downloads a large object to a file, with the latencies of S3.
func largeObject(size int) measure {
	return measure{
		compare.Measure{Name: "large", Unit: "ms", Title: fmt.Sprintf("S3 to a file, %s at %v to the first byte and %d MB/s per connection (only warmcache verifies)",
			sizeName(size), origin.DefaultFirstByte, origin.DefaultBandwidth/1_000_000)},
		func(s *setup) ([]compare.Contender, error) {
			x, err := s.store(size, true)
			if err != nil {
				return nil, err
			}
			byParts := transfermanager.New(x.client)
			byRanges := transfermanager.New(x.client, func(o *transfermanager.Options) { o.GetObjectType = tmtypes.GetObjectRanges })
			transfer := func(c *transfermanager.Client) func(f *os.File) error {
				return func(f *os.File) error {
					_, err := c.DownloadObject(s.ctx, &transfermanager.DownloadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), WriterAt: f})
					return err
				}
			}
			return []compare.Contender{
				{Name: subject, Sample: x.miss},
				{Name: "transfermanager", Sample: x.toFile(transfer(byParts))},
				{Name: "transfermanager, ranges", Sample: x.toFile(transfer(byRanges))},
				{Name: "manager", Sample: x.toFile(x.manager)},
				{Name: "GetObject", Sample: x.toFile(func(f *os.File) error { return x.get(f, "") })},
			}, nil
		},
	}
}

// manager downloads with the downloader that most programs use.
func (x *store) manager(f *os.File) error {
	//nolint:staticcheck // deprecated, and still the usual one
	_, err := manager.NewDownloader(x.client).Download(x.ctx, f, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	return err
}

// miss opens the object in an empty cache.
func (x *store) miss() (float64, error) {
	dir := x.fresh()
	defer os.RemoveAll(dir)
	return wall(func() error {
		files, err := filecache.New(filecache.Options{Dir: dir, MaxBytes: 2 * int64(x.size), MaxAge: time.Hour})
		if err != nil {
			return err
		}
		f, err := files.Open(x.ctx, x.object())
		if err != nil {
			return err
		}
		defer f.Close()
		if st := files.Stats(); st.Uncached+st.Faults != 0 || f.Size() != int64(x.size) {
			return fmt.Errorf("not on disk: %+v", st)
		}
		return nil
	})
}

func (x *store) object() filecache.Object {
	return s3source.Bucket{Client: x.client, Name: bucket}.Object(key)
}

// get copies the object to w as a program with the SDK does.
func (x *store) get(w io.Writer, mode types.ChecksumMode) error {
	out, err := x.client.GetObject(x.ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), ChecksumMode: mode})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.Copy(w, out.Body)
	return err
}

// smallObject measures the CPU time of a miss of a small object. The server is another
// process, whose time does not count.
func smallObject(size, n int) measure {
	return measure{
		compare.Measure{Name: fmt.Sprintf("small/%d", size), Unit: "µs",
			Title: fmt.Sprintf("S3 to a file, %d bytes, CPU time of this process per object, %d objects a sample", size, n)},
		func(s *setup) ([]compare.Contender, error) {
			x, err := s.store(size, false)
			return []compare.Contender{
				{Name: subject, Sample: func() (float64, error) { return x.misses(n) }},
				{Name: "GetObject", Sample: func() (float64, error) { return x.gets(n, "") }},
				{Name: "GetObject, verified", Sample: func() (float64, error) { return x.gets(n, types.ChecksumModeEnabled) }}, // the default of package config
			}, err
		},
	}
}

// gets copies the object to n files without a cache.
func (x *store) gets(n int, mode types.ChecksumMode) (float64, error) {
	sub := x.fresh()
	defer os.RemoveAll(sub)
	if err := os.Mkdir(sub, 0o700); err != nil {
		return 0, err
	}
	return x.cpu(n, func(i int) error {
		f, err := os.Create(filepath.Join(sub, fmt.Sprint(i)))
		if err != nil {
			return err
		}
		defer f.Close()
		return x.get(f, mode)
	})
}

// misses opens n objects, which differ in their name only.
func (x *store) misses(n int) (float64, error) {
	sub := x.fresh()
	defer os.RemoveAll(sub)
	files, err := filecache.New(filecache.Options{Dir: sub, MaxAge: time.Hour, MaxBytes: 1 << 30})
	if err != nil {
		return 0, err
	}
	took, err := x.cpu(n, func(i int) error { return closeOpened(files.Open(x.ctx, named{x.object(), i})) })
	if st := files.Stats(); err == nil && (st.Misses != int64(n) || st.Uncached+st.Faults != 0) {
		return 0, fmt.Errorf("some opens were not misses to the disk: %+v", st)
	}
	return took, err
}

// named is an object under another name.
type named struct {
	filecache.Object
	n int
}

func (o named) ID() (filecache.ID, error) {
	id, err := o.Object.ID()
	id.Name += fmt.Sprint(o.n)
	return id, err
}

// cpu returns the CPU time in µs of one of n calls, each of which must make one request.
func (x *store) cpu(n int, f func(i int) error) (float64, error) {
	requests, before := x.requests.Load(), cpuTime()
	for i := range n {
		if err := f(i); err != nil {
			return 0, err
		}
	}
	took := cpuTime() - before
	if requests = x.requests.Load() - requests; requests != int64(n) {
		return 0, fmt.Errorf("%d requests for %d objects", requests, n)
	}
	return float64(took) / 1e3 / float64(n), nil
}

// cpuTime returns the CPU time of this process so far, user and system.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
