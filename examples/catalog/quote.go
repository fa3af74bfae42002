package main

import (
	"context"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// products caches rows of the database. A package variable lives as long as the
// process, so a warm invocation does not query the database again.
var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
	Load: loadProduct,
	TTL:  time.Minute, // the maximum age of a price
}))

// ProductKey has every input of the answer. Without the tenant, one customer would
// get the prices of another. A struct field cannot be left out by mistake.
type ProductKey struct{ Tenant, SKU string }

// Product is a row of the table. All invocations share the cached one. That is safe
// because it has no slice, map or pointer.
type Product struct {
	Name        string
	PriceCents  int64
	Stock       int64
	Description string
}

// Quote is the answer for a product.
type Quote struct {
	Tenant      string `json:"tenant"`
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"`
	UnitCents   int64  `json:"unit_cents"`
	TotalCents  int64  `json:"total_cents"`
	InStock     bool   `json:"in_stock"` // enough for the quantity
}

func quote(ctx context.Context, in In) (Quote, error) {
	p, err := product(ctx, ProductKey{Tenant: in.Tenant, SKU: in.SKU}, in.Order)
	if err != nil {
		return Quote{}, err
	}
	return Quote{
		Tenant:      in.Tenant,
		SKU:         in.SKU,
		Name:        p.Name,
		Description: p.Description,
		Quantity:    in.Quantity,
		UnitCents:   p.PriceCents,
		TotalCents:  p.PriceCents * in.Quantity,
		InStock:     p.Stock >= in.Quantity,
	}, nil
}

// product is the only function that uses the cache of products.
func product(ctx context.Context, key ProductKey, current bool) (Product, error) {
	switch {
	case plain():
		return loadProduct(ctx, key)
	case current:
		return products.Refresh(ctx, key) // concurrent orders share a query
	default:
		return products.Get(ctx, key)
	}
}
