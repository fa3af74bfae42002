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
	dir  string // of SQLite files
}

func startOrigins(ctx context.Context, dir string, s settings) (_ *origins, err error) {
	o := &origins{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start the origins: %w", err), o.close())
		}
	}()
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
func (o *origins) s3Env(more ...string) []string {
	return append(append(o.s3.Env(o.gate.URL()), "S3_PATH_STYLE=1"), more...)
}

// database is the SQLite file that a variable names.
func (o *origins) database(variable string) string { return filepath.Join(o.dir, variable) }

// databaseEnv is the environment of an action that uses such a file.
func (o *origins) databaseEnv(variable string) []string {
	return []string{variable + "=" + o.database(variable), "ORIGIN_TOLL=" + o.toll.Addr()}
}

// calls are the calls to all origins so far.
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
