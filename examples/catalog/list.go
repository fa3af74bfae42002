package main

import (
	"context"
	"slices"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// pages remembers the pages of the catalogs. A page is a slice, and list takes
// products out of it: without Clone it would take them out of what the next
// invocation gets.
var pages = cache.Must(cache.New(pageOptions))

var pageOptions = cache.Options[PageKey, []Listed]{
	Load:  loadPage,
	TTL:   time.Minute,
	Clone: slices.Clone[[]Listed], // each caller has its own
}

// PageKey is everything that a page depends on. Whether only products in stock
// are asked for is no part of it: they are chosen from the same page.
type PageKey struct {
	Tenant string
	Page   int64
}

// pageSize is how many products a page has.
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
	Products []Listed `json:"products"` // by SKU; none behind the last page
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

// page is all that the cache changes.
func page(ctx context.Context, key PageKey) ([]Listed, error) {
	if plain() {
		return loadPage(ctx, key)
	}
	return pages.Get(ctx, key)
}

// inStock filters in place, as slices.DeleteFunc does: products is not what it
// was afterwards.
func inStock(products []Listed) []Listed {
	return slices.DeleteFunc(products, func(p Listed) bool { return p.Stock < 1 })
}
