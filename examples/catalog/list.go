package main

import (
	"context"
	"slices"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// pages caches the pages of the catalogs. A page is a slice, and list removes
// products from it. Without Clone, the next invocation would miss them too.
var pages = cache.Must(cache.New(pageOptions))

var pageOptions = cache.Options[PageKey, []Listed]{
	Load:  loadPage,
	TTL:   time.Minute,
	Clone: slices.Clone[[]Listed], // each caller gets its own copy
}

// PageKey has every input of a page. in_stock is not part of it: list filters the
// cached page.
type PageKey struct {
	Tenant string
	Page   int64
}

// pageSize is the number of products on a page.
const pageSize = 10

// Listed is a product on a page.
type Listed struct {
	SKU       string `json:"sku"`
	Name      string `json:"name"`
	UnitCents int64  `json:"unit_cents"`
	Stock     int64  `json:"stock"`
}

// List is the answer for a page.
type List struct {
	Tenant   string   `json:"tenant"`
	Page     int64    `json:"page"`
	Products []Listed `json:"products"` // by SKU; empty after the last page
}

func list(ctx context.Context, in In) (List, error) {
	products, err := page(ctx, PageKey{Tenant: in.Tenant, Page: in.Page})
	if err != nil {
		return List{}, err
	}
	if in.InStock {
		products = inStock(products)
	}
	return List{Tenant: in.Tenant, Page: in.Page, Products: products}, nil
}

// page is the only function that uses the cache of pages.
func page(ctx context.Context, key PageKey) ([]Listed, error) {
	if plain() {
		return loadPage(ctx, key)
	}
	return pages.Get(ctx, key)
}

// inStock filters in place, as slices.DeleteFunc does. The caller must not use
// products afterwards.
func inStock(products []Listed) []Listed {
	return slices.DeleteFunc(products, func(p Listed) bool { return p.Stock < 1 })
}
