package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

type sqlite struct{ *sql.DB }

// openSQLite does not create a file under a wrong name.
func openSQLite(file string) (store, error) {
	name := "file:" + (&url.URL{Path: file}).EscapedPath() + "?mode=rw&_pragma=busy_timeout(10000)"
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer at a time
	return sqlite{db}, nil
}

const selectCustomer = `SELECT name, limit_cents FROM customers WHERE bank = ? AND account = ?`

func (db sqlite) customer(ctx context.Context, key CustomerKey) (c Customer, err error) {
	if err := toll.Pay(ctx, "select customer"); err != nil { // for tests and benchmarks only: see the package
		return c, err
	}
	err = db.QueryRowContext(ctx, selectCustomer, key.Bank, key.Account).Scan(&c.Name, &c.LimitCents)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
	}
	return c, err
}

const replaceCheck = `REPLACE INTO checks(bank, scan, status, account, customer, amount_cents, reason) VALUES(?, ?, ?, ?, ?, ?, ?)`

func (db sqlite) save(ctx context.Context, r Out) error {
	if err := toll.Pay(ctx, "replace check"); err != nil {
		return err
	}
	_, err := db.ExecContext(ctx, replaceCheck, r.Bucket, r.Key, r.Status, r.Account, r.Customer, r.AmountCents, r.Reason)
	return err
}
