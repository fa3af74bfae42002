package main

import (
	"context"
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
)

const bucket, key = "models", "model.bin"

// store is an S3 server with one object, and clients that count their requests.
type store struct {
	s3       *origin.S3
	gate     *origin.Gate
	client   *s3.Client
	requests atomic.Int64
	size     int
	dir      string
	files    int // made so far
}

// startStore starts a server, behind a gate with the latencies of S3 if slow.
func startStore(ctx context.Context, dir string, size int, slow bool) (_ *store, err error) {
	x := &store{dir: dir, size: size}
	if x.s3, err = origin.StartS3(ctx, origin.S3Options{Dir: filepath.Join(dir, "s3")}); err != nil {
		return nil, err
	}
	endpoint := x.s3.Endpoint()
	if slow {
		if x.gate, err = origin.StartGate(endpoint, origin.GateOptions{}); err != nil {
			x.close()
			return nil, err
		}
		endpoint = x.gate.URL()
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
	x.client = x.s3.ClientAt(endpoint, func(o *s3.Options) {
		o.HTTPClient = doer(func(r *http.Request) (*http.Response, error) {
			x.requests.Add(1)
			return transport.RoundTrip(r)
		})
	})
	if err = x.s3.CreateBucket(ctx, bucket); err == nil {
		err = x.s3.Put(ctx, bucket, key, origin.Object(size, 1))
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func (x *store) close() {
	if x.gate != nil {
		x.gate.Close()
	}
	x.s3.Close()
}

// fresh returns a name that there was not yet.
func (x *store) fresh() string {
	x.files++
	return filepath.Join(x.dir, fmt.Sprint("file", x.files))
}

// toFile has f fill a new file, removes it, and returns the time in ms.
func (x *store) toFile(f func(*os.File) error) (float64, error) {
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
			return fmt.Errorf("%d bytes, want %d: %w", fi.Size(), x.size, err)
		}
		return nil
	})
}

// largeObject is a miss of a large object at the latencies of S3, to a file.
func largeObject(size int) measure {
	return measure{
		Name: "large", Unit: "ms", limit: 1, over: []string{"transfermanager", "transfermanager, ranges", "manager"},
		Title: fmt.Sprintf("S3 to a file, %d MiB at %v to the first byte and %d MB/s per connection (only warmcache verifies)",
			size>>20, origin.DefaultFirstByte, origin.DefaultBandwidth/1_000_000),
		start: func(ctx context.Context, dir string) ([]contender, func(), error) {
			x, err := startStore(ctx, dir, size, true)
			if err != nil {
				return nil, nil, err
			}
			tm := func(o ...func(*transfermanager.Options)) func() (float64, error) {
				c := transfermanager.New(x.client, o...)
				return func() (float64, error) {
					return x.toFile(func(f *os.File) error {
						_, err := c.DownloadObject(ctx, &transfermanager.DownloadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), WriterAt: f})
						return err
					})
				}
			}
			//nolint:staticcheck // deprecated, and what most programs use
			down := manager.NewDownloader(x.client)
			return []contender{
				{"warmcache", func() (float64, error) { return x.miss(ctx) }},
				{"transfermanager", tm()},
				{"transfermanager, ranges", tm(func(o *transfermanager.Options) { o.GetObjectType = tmtypes.GetObjectRanges })},
				{"manager", func() (float64, error) {
					return x.toFile(func(f *os.File) error {
						//nolint:staticcheck // as above
						_, err := down.Download(ctx, f, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
						return err
					})
				}},
				{"GetObject", func() (float64, error) { return x.toFile(func(f *os.File) error { return x.get(ctx, f, "") }) }},
			}, x.close, nil
		},
	}
}

// miss opens the object in an empty cache.
func (x *store) miss(ctx context.Context) (float64, error) {
	dir := x.fresh()
	defer os.RemoveAll(dir)
	return wall(func() error {
		files, err := filecache.New(filecache.Options{Dir: dir, MaxBytes: 2 * int64(x.size), MaxAge: time.Hour})
		if err != nil {
			return err
		}
		f, err := files.Open(ctx, x.object())
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

// get copies the object to w as an SDK program does.
func (x *store) get(ctx context.Context, w io.Writer, mode types.ChecksumMode) error {
	out, err := x.client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), ChecksumMode: mode})
	if err != nil {
		return err
	}
	defer out.Body.Close()
	_, err = io.Copy(w, out.Body)
	return err
}

// smallObject is the CPU time of a miss of a small object. The server is a
// process of its own, whose time does not count.
func smallObject(size, n int) measure {
	return measure{
		Name: fmt.Sprintf("small/%d", size), Unit: "µs", limit: 1.3, over: []string{"GetObject"},
		Title: fmt.Sprintf("S3 to a file, %d bytes, CPU time of this process per object, %d objects a sample", size, n),
		start: func(ctx context.Context, dir string) ([]contender, func(), error) {
			x, err := startStore(ctx, dir, size, false)
			if err != nil {
				return nil, nil, err
			}
			plain := func(mode types.ChecksumMode) func() (float64, error) {
				return func() (float64, error) {
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
						return x.get(ctx, f, mode)
					})
				}
			}
			return []contender{
				{"warmcache", func() (float64, error) { return x.misses(ctx, n) }},
				{"GetObject", plain("")},
				{"GetObject, verified", plain(types.ChecksumModeEnabled)}, // the default of package config
			}, x.close, nil
		},
	}
}

// misses opens n objects, which differ in their name only.
func (x *store) misses(ctx context.Context, n int) (float64, error) {
	sub := x.fresh()
	defer os.RemoveAll(sub)
	files, err := filecache.New(filecache.Options{Dir: sub, MaxAge: time.Hour, MaxBytes: 1 << 30})
	if err != nil {
		return 0, err
	}
	took, err := x.cpu(n, func(i int) error {
		f, err := files.Open(ctx, named{x.object(), i})
		if err != nil {
			return err
		}
		return f.Close()
	})
	if st := files.Stats(); err == nil && (st.Misses != int64(n) || st.Uncached+st.Faults != 0) {
		return 0, fmt.Errorf("not all were misses to the disk: %+v", st)
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

// cpu returns the CPU time in µs of one of n calls, each of which has to cost one
// request.
func (x *store) cpu(n int, f func(i int) error) (float64, error) {
	asked, before := x.requests.Load(), cpuTime()
	for i := range n {
		if err := f(i); err != nil {
			return 0, err
		}
	}
	took := cpuTime() - before
	if asked = x.requests.Load() - asked; asked != int64(n) {
		return 0, fmt.Errorf("%d requests for %d objects", asked, n)
	}
	return float64(took) / 1e3 / float64(n), nil
}

// cpuTime is that of this process so far, user and system.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
