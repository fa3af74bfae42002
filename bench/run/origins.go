package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
)

// origins are those of a user's function: a real S3 server, and relays to databases.
type origins struct {
	s3        *origin.S3
	gate      *origin.Gate
	relays    []*origin.Relay
	variables []string
}

// ports are those of URLs without one.
var ports = map[string]string{"postgres": "5432", "postgresql": "5432", "mysql": "3306", "redis": "6379", "mongodb": "27017"}

func startOrigins(ctx context.Context, s settings) (_ *origins, err error) {
	o := &origins{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("run: start the origins: %w", err), o.close())
		}
	}()
	if len(s.buckets) > 0 {
		if err := o.startS3(ctx, s); err != nil {
			return nil, err
		}
	}
	for _, db := range s.databases {
		u, err := url.Parse(db[1])
		if err != nil || u.Hostname() == "" {
			return nil, fmt.Errorf("-db %s: its value must be a URL with a host", db[0])
		}
		port := cmp.Or(u.Port(), ports[u.Scheme])
		if port == "" {
			return nil, fmt.Errorf("-db %s: the URL must have a port", db[0])
		}
		r, err := origin.StartRelay(net.JoinHostPort(u.Hostname(), port), origin.RelayOptions{Latency: orNone(s.database)})
		if err != nil {
			return nil, err
		}
		o.relays = append(o.relays, r)
		u.Host = r.Addr()
		o.variables = append(o.variables, db[0]+"="+u.String())
	}
	return o, nil
}

func (o *origins) startS3(ctx context.Context, s settings) (err error) {
	if o.s3, err = origin.StartS3(ctx, origin.S3Options{}); err != nil {
		return err
	}
	for _, b := range s.buckets {
		if err := o.fill(ctx, b[0], b[1]); err != nil {
			return err
		}
	}
	if o.gate, err = origin.StartGate(o.s3.Endpoint(), origin.GateOptions{FirstByte: orNone(s.firstByte), Bandwidth: orNone(s.bandwidth)}); err != nil {
		return err
	}
	o.variables = append(o.variables, o.s3.Env(o.gate.URL())...)
	return nil
}

// fill makes a bucket of the files below a directory. Their paths are the keys.
func (o *origins) fill(ctx context.Context, bucket, dir string) error {
	if err := o.s3.CreateBucket(ctx, bucket); err != nil {
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
		return o.s3.Put(ctx, bucket, filepath.ToSlash(key), body)
	})
}

func (o *origins) env() []string { return o.variables }

func (o *origins) counted() bool { return o.gate != nil || len(o.relays) > 0 }

func (o *origins) calls() (c result.Calls) {
	if o.gate != nil {
		all := o.gate.Counts()
		c.S3Gets = o.gate.CountsOf(http.MethodGet).Calls
		c.S3Puts, c.Bytes = all.Calls-c.S3Gets, all.Bytes
	}
	for _, r := range o.relays {
		counts := r.Counts()
		c.Database += counts.Calls
		c.Bytes += counts.Bytes
	}
	return c
}

// orNone makes a zero on the command line mean none, as it reads there.
func orNone[T ~int | ~int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

func (o *origins) close() (err error) {
	for _, r := range o.relays {
		err = errors.Join(err, r.Close())
	}
	if o.gate != nil {
		err = errors.Join(err, o.gate.Close())
	}
	if o.s3 != nil {
		err = errors.Join(err, o.s3.Close())
	}
	return err
}
