package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

const (
	selectProduct = `SELECT name, price_cents, stock, description FROM products WHERE tenant = $1 AND sku = $2`
	selectPage    = `SELECT sku, name, price_cents, stock FROM products WHERE tenant = $1 ORDER BY sku LIMIT $2 OFFSET $3`
)

// loadProduct queries the database. It is the same with and without the cache.
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
	if err := toll.Pay(ctx, "select product"); err != nil { // for tests and benchmarks only: see the package
		return p, err
	}
	err = db.QueryRowContext(ctx, selectProduct, key.Tenant, key.SKU).
		Scan(&p.Name, &p.PriceCents, &p.Stock, &p.Description)
	return p, err
}

// loadPage queries the database for a page, which is empty after the last one.
func loadPage(ctx context.Context, key PageKey) ([]Listed, error) {
	products, err := queryPage(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("page %d of tenant %q: %w", key.Page, key.Tenant, err)
	}
	return products, nil
}

func queryPage(ctx context.Context, key PageKey) ([]Listed, error) {
	db, err := database()
	if err != nil {
		return nil, err
	}
	if err := toll.Pay(ctx, "select page"); err != nil {
		return nil, err
	}
	rows, err := db.QueryContext(ctx, selectPage, key.Tenant, pageSize, (key.Page-1)*pageSize)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	products := []Listed{} // [] in JSON instead of null
	for rows.Next() {
		var p Listed
		if err := rows.Scan(&p.SKU, &p.Name, &p.UnitCents, &p.Stock); err != nil {
			return nil, err
		}
		products = append(products, p)
	}
	return products, rows.Err()
}
