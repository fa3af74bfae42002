package cache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// GetMany loads all keys that are not cached with one query.
func ExampleCache_GetMany() {
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) {
			fmt.Println("loading", sku)
			return 1999, nil
		},
		LoadMany: func(ctx context.Context, skus []string) (map[string]int, error) {
			fmt.Println("loading", skus) // SELECT ... WHERE sku IN (...)
			return map[string]int{"chair": 4900}, nil
		},
		TTL: time.Minute,
	}))
	ctx := context.Background()
	if _, err := prices.Get(ctx, "lamp"); err != nil {
		fmt.Println(err)
	}
	skus := []string{"lamp", "chair", "unicorn"}
	results, err := prices.GetMany(ctx, skus)
	if err != nil {
		fmt.Println(err)
	}
	for i, r := range results {
		fmt.Println(skus[i], r.Value, r.Found)
	}
	// Output:
	// loading lamp
	// loading [chair unicorn]
	// lamp 1999 true
	// chair 4900 true
	// unicorn 0 false
}

// A price list has been imported: one query loads all prices in use again.
func ExampleCache_RefreshMany() {
	price := 1999
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return price, nil },
		LoadMany: func(ctx context.Context, skus []string) (map[string]int, error) {
			fmt.Println("loading", skus) // SELECT ... WHERE sku IN (...)
			found := map[string]int{}
			for _, sku := range skus {
				found[sku] = price
			}
			return found, nil
		},
		TTL: time.Hour,
	}))
	ctx := context.Background()
	skus := []string{"lamp", "chair"}
	if _, err := prices.GetMany(ctx, skus); err != nil {
		fmt.Println(err)
	}
	price = 1499 // the import
	results, err := prices.RefreshMany(ctx, skus)
	if err != nil {
		fmt.Println(err)
	}
	for i, r := range results {
		fmt.Println(skus[i], r.Value)
	}
	// Output:
	// loading [lamp chair]
	// loading [lamp chair]
	// lamp 1499
	// chair 1499
}
