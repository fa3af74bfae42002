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
			fmt.Println("asking for", sku)
			return 1999, nil
		},
		LoadMany: func(ctx context.Context, skus []string) (map[string]int, error) {
			fmt.Println("asking for", skus) // SELECT ... WHERE sku IN (...)
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
	// asking for lamp
	// asking for [chair unicorn]
	// lamp 1999 true
	// chair 4900 true
	// unicorn 0 false
}
