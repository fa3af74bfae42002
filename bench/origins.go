package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/warmcache/warmcache/bench/run"
	"github.com/warmcache/warmcache/examples/model/table"
)

// origins are the databases and the S3 server of the actions, with their data.
type origins struct {
	run.Origins
	latencyProxy string // the address of the SQLite databases' network
	dir          string // of SQLite files
}

func startOrigins(ctx context.Context, dir string, l run.Latencies) (o *origins, err error) {
	o = &origins{dir: dir}
	if o.latencyProxy, err = o.StartLatencyProxy(l); err == nil {
		err = o.StartS3(ctx, filepath.Join(o.dir, "s3"), l)
	}
	if err == nil {
		err = errors.Join(o.S3.CreateBucket(ctx, modelBucket), o.S3.Put(ctx, modelBucket, modelKey, table.Make(modelRecords)))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start the origins: %w", err), o.Close())
	}
	return o, nil
}

// s3Env returns the environment of an action that uses S3 through the gate.
func (o *origins) s3Env(more ...string) []string {
	return append(append(o.S3.Env(o.Gate.URL()), "S3_PATH_STYLE=1"), more...)
}

// database returns the path of the SQLite file for a variable.
func (o *origins) database(variable string) string { return filepath.Join(o.dir, variable) }

// databaseEnv returns the environment of an action that uses such a file.
func (o *origins) databaseEnv(variable string) []string {
	return []string{variable + "=" + o.database(variable), "ORIGIN_TOLL=" + o.latencyProxy}
}
