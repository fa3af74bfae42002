package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

const (
	createTable = `CREATE TABLE IF NOT EXISTS sessions(
		tenant  TEXT,
		id      TEXT,
		user    TEXT    NOT NULL,
		basket  TEXT    NOT NULL, -- a JSON object
		version INTEGER NOT NULL,
		expires INTEGER NOT NULL, -- seconds since 1970
		PRIMARY KEY(tenant, id)
	) WITHOUT ROWID`
	insertSession = `INSERT INTO sessions(user, basket, version, expires, tenant, id) VALUES(?, ?, ?, ?, ?, ?)`
	selectSession = `SELECT user, basket, version, expires FROM sessions WHERE tenant = ? AND id = ?`
	updateSession = `UPDATE sessions SET user = ?, basket = ?, version = ?, expires = ? WHERE tenant = ? AND id = ? AND version = ?`
	deleteSession = `DELETE FROM sessions WHERE tenant = ? AND id = ?`
)

// sqlite is a Store for one machine. With another driver and its placeholders, the
// statements work in any SQL database.
type sqlite struct{ db *sql.DB }

// pragmas lets a writer wait for other writers; readers do not wait. It is a variable for
// tests.
var pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_txlock=immediate"

func openSQLite(path string) (Store, error) {
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: pragmas}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(createTable); err != nil {
		db.Close()
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return sqlite{db}, nil
}

func (l sqlite) Create(ctx context.Context, s Session) error {
	_, err := l.exec(ctx, "insert session", insertSession, append(columns(s), s.Key.Tenant, string(s.Key.ID))...)
	return err
}

func (l sqlite) Load(ctx context.Context, key Key) (Session, error) {
	if err := toll.Pay(ctx, "select session"); err != nil { // for tests and benchmarks only: see the package
		return Session{}, err
	}
	found := Session{Key: key}
	var basket []byte
	var expires int64
	err := l.db.QueryRowContext(ctx, selectSession, key.Tenant, string(key.ID)).
		Scan(&found.User, &basket, &found.Version, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		err = cache.ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(basket, &found.Basket)
	}
	found.Expires = time.Unix(expires, 0)
	return found, err
}

func (l sqlite) Update(ctx context.Context, s Session) error {
	n, err := l.exec(ctx, "update session", updateSession,
		append(columns(s), s.Key.Tenant, string(s.Key.ID), s.Version-1)...)
	if err == nil && n == 0 {
		err = errConflict
	}
	return err
}

func (l sqlite) Delete(ctx context.Context, key Key) error {
	_, err := l.exec(ctx, "delete session", deleteSession, key.Tenant, string(key.ID))
	return err
}

// exec returns the number of rows that were changed.
func (l sqlite) exec(ctx context.Context, name, statement string, args ...any) (int64, error) {
	if err := toll.Pay(ctx, name); err != nil {
		return 0, err
	}
	res, err := l.db.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// columns are the columns outside the key.
func columns(s Session) []any {
	basket, err := json.Marshal(s.Basket)
	if err != nil {
		panic(err) // cannot happen: a map of strings and integers
	}
	return []any{s.User, basket, s.Version, s.Expires.Unix()}
}
