package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A key carries everything that the answer depends on.
type ProductKey struct{ Tenant, SKU string }

type Product struct {
	Name       string
	PriceCents int
}

func loadProduct(ctx context.Context, key ProductKey) (Product, error) {
	fmt.Println("loading", key.SKU)
	return Product{Name: "Lamp", PriceCents: 1999}, nil // SELECT ... WHERE tenant = ? AND sku = ?
}

// The variable lives as long as the container: warm invocations do not query the
// database again.
var products = cache.Must(cache.New(cache.Options[ProductKey, Product]{
	Load: loadProduct,
	TTL:  time.Minute,
}))

func handle(ctx context.Context, tenant, sku string) (string, error) {
	p, err := products.Get(ctx, ProductKey{Tenant: tenant, SKU: sku})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s costs %d cents", p.Name, p.PriceCents), nil
}

func Example() {
	for range 2 { // two invocations of one container
		answer, err := handle(context.Background(), "tenant-1", "sku-42")
		fmt.Println(answer, err)
	}
	// Output:
	// loading sku-42
	// Lamp costs 1999 cents <nil>
	// Lamp costs 1999 cents <nil>
}
