package origin

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

const createProducts = `CREATE TABLE products(
	tenant      TEXT,
	sku         TEXT,
	name        TEXT,
	price_cents INTEGER,
	stock       INTEGER,
	description TEXT,
	PRIMARY KEY(tenant, sku)
) WITHOUT ROWID`

const insertProduct = `INSERT INTO products(tenant, sku, name, price_cents, stock, description) VALUES(?, ?, ?, ?, ?, ?)`

// Tenant returns the name of the n-th tenant of SeedCatalog, counted from 1: "tenant-1".
func Tenant(n int) string { return fmt.Sprintf("tenant-%d", n) }

// SKU returns the n-th stock keeping unit of SeedCatalog, counted from 1: "sku-00001".
func SKU(n int) string { return fmt.Sprintf("sku-%05d", n) }

// SeedCatalog makes a SQLite database at path, which must not exist yet, with one table:
//
//	products(tenant TEXT, sku TEXT, name TEXT, price_cents INTEGER, stock INTEGER, description TEXT,
//	         PRIMARY KEY(tenant, sku)) WITHOUT ROWID
//
// It holds the given number of products for each tenant: SKU(1) to SKU(products) for Tenant(1) to Tenant(tenants). The
// content depends on the two names alone, and the same SKU differs from tenant to tenant: an answer that was meant for
// somebody else shows.
func SeedCatalog(path string, tenants, products int) error {
	if tenants < 1 || products < 1 {
		return fmt.Errorf("origin: seed catalog %s: %d tenants with %d products: want at least 1", path, tenants, products)
	}
	if err := reserve(path); err != nil {
		return fmt.Errorf("origin: seed catalog %s: %w", path, err)
	}
	if err := seed(path, tenants, products); err != nil {
		os.Remove(path)
		return fmt.Errorf("origin: seed catalog %s: %w", path, err)
	}
	return nil
}

// reserve makes an empty file, which SQLite takes for an empty database, and leaves an existing one alone.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

func seed(path string, tenants, products int) (err error) {
	dsn, err := seedDSN(path)
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fill(tx, tenants, products); err != nil {
		return err
	}
	return tx.Commit()
}

// seedDSN turns off what only protects a database that somebody would miss. The settings are the connection's, not the
// file's: readers find an ordinary database. A URI, because a plain path with a question mark would be cut there.
func seedDSN(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	abs = "/" + strings.TrimPrefix(filepath.ToSlash(abs), "/")
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: "_pragma=journal_mode(off)&_pragma=synchronous(off)"}
	return dsn.String(), nil
}

func fill(tx *sql.Tx, tenants, products int) error {
	if _, err := tx.Exec(createProducts); err != nil {
		return err
	}
	insert, err := tx.Prepare(insertProduct)
	if err != nil {
		return err
	}
	defer insert.Close()
	for t := 1; t <= tenants; t++ {
		for p := 1; p <= products; p++ {
			if err := insertOne(insert, t, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func insertOne(insert *sql.Stmt, tenant, product int) error {
	who, sku := Tenant(tenant), SKU(product)
	name := fmt.Sprintf("Product %d of %s", product, who)
	price := 100 + (tenant*7919+product*104729)%99_900 // primes: neighbours differ widely
	stock := (tenant*31 + product*17) % 1000
	description := strings.Repeat(fmt.Sprintf("%s as sold by %s. ", sku, who), 6)
	_, err := insert.Exec(who, sku, name, price, stock, description)
	return err
}
