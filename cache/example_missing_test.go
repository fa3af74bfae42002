package cache_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// If Load returns ErrNotFound, a missing row is cached for MissingTTL. The caller still
// gets the database's own error.
func ExampleOptions_missingTTL() {
	query := func(sku string) (price int, err error) { // SELECT price FROM prices WHERE sku = ?
		fmt.Println("loading", sku)
		return 0, sql.ErrNoRows
	}
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) {
			price, err := query(sku)
			if errors.Is(err, sql.ErrNoRows) {
				err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
			}
			return price, err
		},
		TTL:        time.Minute,
		MissingTTL: 5 * time.Second,
	}))
	for range 2 {
		_, err := prices.Get(context.Background(), "sku-43")
		fmt.Println(errors.Is(err, sql.ErrNoRows))
	}
	// Output:
	// loading sku-43
	// true
	// true
}
