package run

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/warmcache/warmcache/bench/origin"
)

// Latencies has the latencies and the bandwidth of the origins. Zero means no delay or
// no limit.
type Latencies struct {
	FirstByte time.Duration // of an answer from S3
	Bandwidth int           // of a connection to S3, in bytes per second
	Database  time.Duration // round trip
}

// Register adds the flags. Their defaults are those of package origin.
func (l *Latencies) Register(f *flag.FlagSet) {
	f.DurationVar(&l.FirstByte, "s3-latency", origin.DefaultFirstByte, "time to the first byte of an answer from S3")
	f.IntVar(&l.Bandwidth, "s3-bandwidth", origin.DefaultBandwidth, "bytes per second of a connection to S3")
	f.DurationVar(&l.Database, "db-latency", origin.DefaultDatabase, "round trip of a database statement")
}

// Origins are the databases and the S3 server of a function. The zero Origins are empty.
type Origins struct {
	S3   *origin.S3 // nil before StartS3
	Gate *origin.Gate

	// the gate and the databases
	started []interface {
		Counts() origin.Counts
		Close() error
	}
}

// StartS3 starts an S3 server with its objects in dir, behind a gate. An empty dir means
// a temporary one.
func (o *Origins) StartS3(ctx context.Context, dir string, l Latencies) (err error) {
	if o.S3, err = origin.StartS3(ctx, dir); err != nil {
		return err
	}
	if o.Gate, err = origin.StartGate(o.S3.Endpoint(), origin.GateOptions{FirstByte: l.FirstByte, Bandwidth: l.Bandwidth}); err != nil {
		return err
	}
	o.started = append(o.started, o.Gate)
	return nil
}

// StartLatencyProxy starts the network of a SQLite database, and returns its address.
func (o *Origins) StartLatencyProxy(l Latencies) (addr string, err error) {
	p, err := origin.StartLatencyProxy(l.Database)
	if err != nil {
		return "", err
	}
	o.started = append(o.started, p)
	return p.Addr(), nil
}

// ports are the defaults for URLs without a port.
var ports = map[string]string{"postgres": "5432", "postgresql": "5432", "mysql": "3306", "redis": "6379", "mongodb": "27017"}

// startRelay starts a relay to a database, and returns the database's URL through it.
func (o *Origins) startRelay(database string, l Latencies) (string, error) {
	u, err := url.Parse(database)
	if err != nil || u.Hostname() == "" {
		return "", errors.New("its value must be a URL with a host")
	}
	port := cmp.Or(u.Port(), ports[u.Scheme])
	if port == "" {
		return "", errors.New("the URL must have a port")
	}
	r, err := origin.StartRelay(net.JoinHostPort(u.Hostname(), port), l.Database)
	if err != nil {
		return "", err
	}
	o.started = append(o.started, r)
	u.Host = r.Addr()
	return u.String(), nil
}

// Calls returns the calls to all origins so far.
func (o *Origins) Calls() (c origin.Counts) {
	for _, started := range o.started {
		c = c.Add(started.Counts())
	}
	return c
}

// Close ends all of them.
func (o *Origins) Close() (err error) {
	for _, started := range o.started {
		err = errors.Join(err, started.Close())
	}
	if o.S3 != nil {
		err = errors.Join(err, o.S3.Close())
	}
	return err
}

// startOrigins starts the origins of the command line, and returns the variables with
// their addresses. The caller must close o, also after an error.
func (s *settings) startOrigins(ctx context.Context, o *Origins) (env []string, err error) {
	if len(s.buckets) > 0 {
		if err := o.StartS3(ctx, "", s.Latencies); err != nil {
			return nil, err
		}
		env = o.S3.Env(o.Gate.URL())
	}
	for _, b := range s.buckets {
		if err := o.fill(ctx, b[0], b[1]); err != nil {
			return nil, err
		}
	}
	for _, db := range s.databases {
		u, err := o.startRelay(db[1], s.Latencies)
		if err != nil {
			return nil, fmt.Errorf("-db %s: %w", db[0], err)
		}
		env = append(env, db[0]+"="+u)
	}
	return env, nil
}

// fill creates a bucket with the files below a directory, whose paths are the keys.
func (o *Origins) fill(ctx context.Context, bucket, dir string) error {
	if err := o.S3.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return o.S3.Put(ctx, bucket, filepath.ToSlash(key), body)
	})
}
