package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/examples/internal/toll"
)

const (
	createTable = `CREATE TABLE IF NOT EXISTS votes(
		tenant TEXT,
		voter  TEXT,
		choice TEXT NOT NULL,
		PRIMARY KEY(tenant, voter)
	) WITHOUT ROWID`

	// One statement reads and writes, so no other vote can come between. It sets
	// the choice instead of adding to a count: a retry after a lost answer, or a
	// repeated event, changes nothing.
	upsertVote = `INSERT INTO votes(tenant, voter, choice) VALUES(?, ?, ?)
		ON CONFLICT(tenant, voter) DO UPDATE SET choice = excluded.choice`

	selectResult = `SELECT choice, COUNT(*) FROM votes WHERE tenant = ? GROUP BY choice`
)

// database is a ballot that all containers share. With another driver and its
// placeholders, it works with PostgreSQL and others.
type database struct{ db *sql.DB }

// pragmas lets a writer wait for other writers; readers do not wait. It is a variable for
// tests.
var pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"

func openDatabase(path string) (database, error) {
	if path == "" {
		return database{}, errors.New("VOTES_DB is not set: it names the SQLite file")
	}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return database{}, err
	}
	if _, err := db.Exec(createTable); err != nil {
		db.Close()
		return database{}, fmt.Errorf("open %s: %w", path, err)
	}
	return database{db}, nil
}

func (d database) vote(ctx context.Context, tenant, voter, choice string) error {
	if err := toll.Pay(ctx, "upsert vote"); err != nil { // for tests and benchmarks only: see the package
		return err
	}
	_, err := d.db.ExecContext(ctx, upsertVote, tenant, voter, choice)
	return err
}

func (d database) result(ctx context.Context, tenant string) (map[string]int64, error) {
	if err := toll.Pay(ctx, "select result"); err != nil {
		return nil, err
	}
	rows, err := d.db.QueryContext(ctx, selectResult, tenant)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	votes := map[string]int64{}
	for rows.Next() {
		var choice string
		var n int64
		if err := rows.Scan(&choice, &n); err != nil {
			return nil, err
		}
		votes[choice] = n
	}
	return votes, rows.Err()
}
