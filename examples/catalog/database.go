package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

const selectProduct = `SELECT name, price_cents, stock, description FROM products WHERE tenant = ? AND sku = ?`

// loadProduct asks the database. It is the same with and without a cache.
func loadProduct(ctx context.Context, key ProductKey) (Product, error) {
	p, err := queryProduct(ctx, key)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
	}
	if err != nil {
		return Product{}, fmt.Errorf("product %q of tenant %q: %w", key.SKU, key.Tenant, err)
	}
	return p, nil
}

func queryProduct(ctx context.Context, key ProductKey) (p Product, err error) {
	db, err := database()
	if err != nil {
		return p, err
	}
	if err := toll.Pay(ctx, "select product"); err != nil { // see the package: not for production
		return p, err
	}
	err = db.QueryRowContext(ctx, selectProduct, key.Tenant, key.SKU).
		Scan(&p.Name, &p.PriceCents, &p.Stock, &p.Description)
	return p, err
}

// database is opened by the first query and kept like the products. sql.DB
// notices connections that died in a freeze, and opens others.
var database = sync.OnceValues(openDatabase)

func openDatabase() (*sql.DB, error) {
	path := os.Getenv("CATALOG_DB")
	if path == "" {
		return nil, errors.New("CATALOG_DB is not set: it names the SQLite file")
	}
	return sql.Open("sqlite", uri(path, "ro"))
}

// uri says how to open the file: read-only, because SQLite would make a new, empty
// one of a wrong name. A question mark in a plain path would end it.
func uri(path, mode string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=" + mode
}
