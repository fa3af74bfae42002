package main

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// In is the event: a product and its quantity, or a page of the catalog.
type In struct {
	Tenant   string `json:"tenant"`
	SKU      string `json:"sku,omitempty"`
	Quantity int64  `json:"quantity,omitempty"`
	Order    bool   `json:"order,omitempty"`    // the price must be current, not up to a minute old
	Page     int64  `json:"page,omitempty"`     // from 1; the answer is a List
	InStock  bool   `json:"in_stock,omitempty"` // with a page: only products in stock
}

// handle answers one event with a Quote or a List. It does not depend on the host.
func handle(ctx context.Context, in In) (any, error) {
	out, err := answer(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return out, nil
}

func answer(ctx context.Context, in In) (any, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	if in.Page > 0 {
		return list(ctx, in)
	}
	return quote(ctx, in)
}

// plain disables the cache: WARMCACHE=off queries the database on each invocation.
// The answers are the same.
func plain() bool { return os.Getenv("WARMCACHE") == "off" }

// Limits of an event. The longest key is small next to the memory of 1000 entries,
// and the largest total fits into an int64.
const (
	maxName     = 200
	maxQuantity = 10_000
	maxPage     = 1000
)

func (in In) validate() error {
	switch {
	case in.Tenant == "":
		return errors.New("the event has no tenant")
	case len(in.Tenant) > maxName || len(in.SKU) > maxName:
		return fmt.Errorf("tenant or sku is longer than %d bytes", maxName)
	case in.Page != 0:
		return in.validatePage()
	case in.SKU == "":
		return errors.New("the event has no sku and no page")
	case in.Quantity < 1 || in.Quantity > maxQuantity:
		return fmt.Errorf("quantity is %d: it must be 1 to %d", in.Quantity, maxQuantity)
	}
	return nil
}

func (in In) validatePage() error {
	switch {
	case in.SKU != "" || in.Quantity != 0 || in.Order:
		return errors.New("the event has a page and a product: it must be one of them")
	case in.Page < 1 || in.Page > maxPage:
		return fmt.Errorf("page is %d: it must be 1 to %d", in.Page, maxPage)
	}
	return nil
}
