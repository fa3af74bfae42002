package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// products remembers what the database said. The variable lives as long as the
// container, so the invocations that find it warm do not ask again.
var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
	Load: loadProduct,
	TTL:  time.Minute, // a price may be as old as that, and never older
}))

// ProductKey is everything that the answer depends on. Without the tenant, one
// customer would be told another one's prices; as a field of the key it cannot be
// left out by mistake.
type ProductKey struct{ Tenant, SKU string }

// Product is a row of the table. All invocations share the one that is kept. It
// has no slice, map or pointer through which one of them could change it for the
// others.
type Product struct {
	Name        string
	PriceCents  int64
	Stock       int64
	Description string
}

// In is the event.
type In struct {
	Tenant   string `json:"tenant"`
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// Out is the answer.
type Out struct {
	Tenant      string `json:"tenant"`
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Quantity    int64  `json:"quantity"`
	UnitCents   int64  `json:"unit_cents"`
	TotalCents  int64  `json:"total_cents"`
	InStock     bool   `json:"in_stock"` // enough for the quantity
}

// handle answers one event. It knows nothing of its host.
func handle(ctx context.Context, in In) (Out, error) {
	if err := in.validate(); err != nil {
		return Out{}, fmt.Errorf("catalog: %w", err)
	}
	p, err := product(ctx, ProductKey{Tenant: in.Tenant, SKU: in.SKU})
	if err != nil {
		return Out{}, fmt.Errorf("catalog: %w", err)
	}
	return Out{
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

// product is all that the cache changes: WARMCACHE=off asks the database each
// time, and gives the same answers.
func product(ctx context.Context, key ProductKey) (Product, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return loadProduct(ctx, key)
	}
	return products.Get(ctx, key)
}

// Bounds of an event. The longest key is far from what a cache of 1000 entries
// would notice in memory, and the greatest sum from what an int64 holds.
const (
	maxName     = 200
	maxQuantity = 10_000
)

func (in In) validate() error {
	switch {
	case in.Tenant == "":
		return errors.New("the event has no tenant")
	case in.SKU == "":
		return errors.New("the event has no sku")
	case len(in.Tenant) > maxName || len(in.SKU) > maxName:
		return fmt.Errorf("tenant or sku is longer than %d bytes", maxName)
	case in.Quantity < 1 || in.Quantity > maxQuantity:
		return fmt.Errorf("quantity is %d: it must be 1 to %d", in.Quantity, maxQuantity)
	}
	return nil
}
