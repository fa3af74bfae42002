package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// Get returns the error of Load unchanged, and caches no error.
func ExampleCache_Get() {
	attempts := 0
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) {
			attempts++
			if attempts == 1 {
				return 0, errors.New("connection refused")
			}
			return 1999, nil // SELECT price FROM prices WHERE sku = ?
		},
		TTL: time.Minute,
	}))
	ctx := context.Background()
	for range 3 {
		fmt.Println(prices.Get(ctx, "lamp"))
	}
	fmt.Println(attempts, "attempts")
	// Output:
	// 0 connection refused
	// 1999 <nil>
	// 1999 <nil>
	// 2 attempts
}

// An HTTP handler tells its client how old an answer is.
func ExampleCache_Lookup() {
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return 1999, nil },
		TTL:  time.Minute,
	}))
	for range 2 {
		e, err := prices.Lookup(context.Background(), "lamp")
		if err != nil {
			fmt.Println(err)
			return
		}
		age := time.Since(e.Loaded).Truncate(time.Minute)
		fmt.Printf("%d, X-Cache: %s, Age: %.0f\n", e.Value, e.Source, age.Seconds())
	}
	// Output:
	// 1999, X-Cache: loaded, Age: 0
	// 1999, X-Cache: hit, Age: 0
}

// A health check shows the loaded configuration, but does not load it.
func ExampleCache_Peek() {
	configs := cache.Must(cache.New(cache.Options[string, string]{
		Load: func(ctx context.Context, name string) (string, error) { return "v7", nil },
		TTL:  time.Minute,
	}))
	health := func() {
		if version, ok := configs.Peek("app"); ok {
			fmt.Println("ready with configuration", version)
		} else {
			fmt.Println("not loaded yet")
		}
	}
	health()
	if _, err := configs.Get(context.Background(), "app"); err != nil {
		fmt.Println(err)
	}
	health()
	// Output:
	// not loaded yet
	// ready with configuration v7
}

// A webhook announces that a price has changed.
func ExampleCache_Refresh() {
	price := 1999
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return price, nil },
		TTL:  time.Hour,
	}))
	ctx := context.Background()
	fmt.Println(prices.Get(ctx, "lamp"))
	price = 1499 // in the database, by another program
	fmt.Println(prices.Get(ctx, "lamp"))
	fmt.Println(prices.Refresh(ctx, "lamp"))
	fmt.Println(prices.Get(ctx, "lamp"))
	// Output:
	// 1999 <nil>
	// 1999 <nil>
	// 1499 <nil>
	// 1499 <nil>
}

// New explains why a type cannot be a key.
func ExampleNew() {
	type key struct {
		Shop string
		Day  time.Time
	}
	_, err := cache.New(cache.Options[key, int]{
		Load: func(ctx context.Context, k key) (int, error) { return 42, nil },
		TTL:  time.Minute,
	})
	fmt.Println(err)
	// Output:
	// cache.New: key type: cache_test.key.Day is a time.Time, which has several forms of the same value: use its UnixNano, an int64, or a formatted string
}

// Must is for caches in package-level variables. It panics if the Options are wrong.
func ExampleMust() {
	sessions := cache.Must(cache.New(cache.Options[string, string]{
		Load: func(ctx context.Context, id string) (string, error) { return "ann", nil },
		TTL:  5 * time.Second,
	}))
	fmt.Println(sessions.Get(context.Background(), "4f2a"))
	// Output: ann <nil>
}

// The counts show whether a cache is worth its memory.
func ExampleCache_Stats() {
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load:       func(ctx context.Context, sku string) (int, error) { return 1999, nil },
		TTL:        time.Minute,
		MaxEntries: 2,
	}))
	for _, sku := range []string{"lamp", "lamp", "chair", "table"} {
		if _, err := prices.Get(context.Background(), sku); err != nil {
			fmt.Println(err)
		}
	}
	s := prices.Stats()
	fmt.Println(s.Hits, "hit,", s.Loads, "loads,", s.EvictedEntries, "evicted,", s.Entries, "cached")
	// Output: 1 hit, 3 loads, 1 evicted, 2 cached
}
