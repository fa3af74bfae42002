package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// database is opened by the first query and kept for the life of the process.
var database = sync.OnceValues(openDatabase)

// openDatabase opens PostgreSQL if DATABASE_URL is set, and otherwise a SQLite
// file, which needs no server.
func openDatabase() (*sql.DB, error) {
	if server := os.Getenv("DATABASE_URL"); server != "" {
		return openPostgres(server)
	}
	path := os.Getenv("CATALOG_DB")
	if path == "" {
		return nil, errors.New("neither DATABASE_URL nor CATALOG_DB is set: they name a PostgreSQL server and a SQLite file")
	}
	return sql.Open("sqlite", uri(path, "ro"))
}

// openPostgres connects on the first query. All containers share the server's limit
// of connections, and a container that serves one invocation at a time needs one.
func openPostgres(server string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(server)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	db := stdlib.OpenDB(*config, stdlib.OptionShouldPing(always))
	db.SetMaxOpenConns(4)
	return db, nil
}

// always pings a connection before each use. The driver's default pings only after
// a second without use. Its clock stops while a machine is paused, so the first
// query after a pause would fail.
func always(context.Context, stdlib.ShouldPingParams) bool { return true }

// uri opens the file read-only, because SQLite would create an empty database under
// a wrong name. A question mark in a plain path would end the path.
func uri(path, mode string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=" + mode
}
