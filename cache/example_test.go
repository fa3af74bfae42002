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
	fmt.Println("asking the database for", key.SKU)
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
	// asking the database for sku-42
	// Lamp costs 1999 cents <nil>
	// Lamp costs 1999 cents <nil>
}

// After a write to the database, delete the key.
func ExampleCache_Delete() {
	price := 1999
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(context.Context, string) (int, error) { return price, nil },
		TTL:  time.Hour,
	}))
	show := func() {
		p, _ := prices.Get(context.Background(), "sku-42")
		fmt.Println(p)
	}
	show()
	price = 1499 // UPDATE products SET ...
	show()
	prices.Delete("sku-42")
	show()
	// Output:
	// 1999
	// 1999
	// 1499
}
