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

// database is opened by the first query and kept like the products.
var database = sync.OnceValues(openDatabase)

// openDatabase opens PostgreSQL if DATABASE_URL says where it is, and otherwise
// a SQLite file, which needs no server to try it out.
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

// openPostgres connects when there is the first query. A server has few
// connections for all containers together, and a container of one invocation at
// a time needs one.
func openPostgres(server string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(server)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	db := stdlib.OpenDB(*config, stdlib.OptionShouldPing(always))
	db.SetMaxOpenConns(4)
	return db, nil
}

// always asks whether a connection is alive before each use. Otherwise it is asked
// about when it was idle for a second by a clock that stands still while a
// machine is paused: the first query after that would fail.
func always(context.Context, stdlib.ShouldPingParams) bool { return true }

// uri says how to open the file: read-only, because SQLite would make a new, empty
// one of a wrong name. A question mark in a plain path would end it.
func uri(path, mode string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=" + mode
}
