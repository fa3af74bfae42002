package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/bench/result"
	"github.com/warmcache/warmcache/examples/model/table"
)

// origins are the real databases and stores behind the actions, with their data.
type origins struct {
	s3   *origin.S3
	gate *origin.Gate
	toll *origin.Toll

	// SQLite files.
	database, sessions, checks string
}

func startOrigins(ctx context.Context, dir string, s settings) (_ *origins, err error) {
	o := &origins{
		database: filepath.Join(dir, "catalog.db"),
		sessions: filepath.Join(dir, "sessions.db"),
		checks:   filepath.Join(dir, "checks.db"),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start the origins: %w", err), o.close())
		}
	}()
	if err := origin.SeedCatalog(o.database, tenants, products); err != nil {
		return nil, err
	}
	if o.toll, err = origin.StartToll(origin.TollOptions{Latency: orNone(s.database)}); err != nil {
		return nil, err
	}
	if o.s3, err = origin.StartS3(ctx, origin.S3Options{Dir: filepath.Join(dir, "s3")}); err != nil {
		return nil, err
	}
	if err := o.s3.CreateBucket(ctx, modelBucket); err != nil {
		return nil, err
	}
	if err := o.s3.Put(ctx, modelBucket, modelKey, table.Make(modelRecords)); err != nil {
		return nil, err
	}
	o.gate, err = origin.StartGate(o.s3.Endpoint(), origin.GateOptions{FirstByte: orNone(s.firstByte), Bandwidth: orNone(s.bandwidth)})
	return o, err
}

// s3Env is the environment of an action that uses S3 through the gate.
func (o *origins) s3Env() []string { return append(o.s3.Env(o.gate.URL()), "S3_PATH_STYLE=1") }

// calls are what the origins were asked so far.
func (o *origins) calls() result.Calls {
	s3, db := o.gate.Counts(), o.toll.Counts()
	gets := o.gate.CountsOf(http.MethodGet).Calls
	return result.Calls{S3Gets: gets, S3Puts: s3.Calls - gets, Database: db.Calls, Bytes: s3.Bytes + db.Bytes}
}

// orNone makes a zero on the command line mean none, as it reads there.
func orNone[T ~int | ~int64](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

func (o *origins) close() error {
	var errs []error
	if o.gate != nil {
		errs = append(errs, o.gate.Close())
	}
	if o.s3 != nil {
		errs = append(errs, o.s3.Close())
	}
	if o.toll != nil {
		errs = append(errs, o.toll.Close())
	}
	return errors.Join(errs...)
}
