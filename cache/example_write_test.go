package cache_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/disktier"
)

// After a write to the database, delete the key.
func ExampleCache_Delete() {
	price := 1999
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return price, nil },
		TTL:  time.Hour,
	}))
	ctx := context.Background()
	fmt.Println(prices.Get(ctx, "lamp"))
	price = 1499 // UPDATE prices SET ..., and COMMIT
	prices.Delete("lamp")
	fmt.Println(prices.Get(ctx, "lamp"))
	// Output:
	// 1999 <nil>
	// 1499 <nil>
}

// priceCache returns the cache of one process. All processes share a Tier in dir.
func priceCache(dir string, price *int) *cache.Cache[string, int] {
	return cache.Must(cache.New(cache.Options[string, int]{
		Load:      func(ctx context.Context, sku string) (int, error) { return *price, nil },
		TTL:       time.Hour,
		Tier:      disktier.Must(disktier.New(disktier.Options{Dir: dir})),
		Namespace: "shop/price/1",
		Codec:     cache.JSON[int](),
	}))
}

// With a Tier, a write must also remove the record that other processes would find.
func ExampleCache_Invalidate() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	price := 1999
	ctx := context.Background()
	prices := priceCache(dir, &price)
	fmt.Println(prices.Get(ctx, "lamp"))
	price = 1499 // UPDATE prices SET ..., and COMMIT
	if err := prices.Invalidate(ctx, "lamp"); err != nil {
		slog.Warn("others may see the old price for an hour", "err", err)
	}
	fmt.Println(priceCache(dir, &price).Get(ctx, "lamp")) // another process
	// Output:
	// 1999 <nil>
	// 1499 <nil>
}

// InvalidateMany needs one round trip for all keys of a transaction.
func ExampleCache_InvalidateMany() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	price := 1999
	prices := priceCache(dir, &price)
	ctx := context.Background()
	fmt.Println(prices.Get(ctx, "lamp"))
	price = 1499 // UPDATE prices SET ..., and COMMIT
	if err := prices.InvalidateMany(ctx, []string{"lamp", "chair"}); err != nil {
		slog.Warn("others may see the old prices for an hour", "err", err)
	}
	fmt.Println(prices.Get(ctx, "lamp"))
	// Output:
	// 1999 <nil>
	// 1499 <nil>
}

// After a bulk import, no cached value can be trusted.
func ExampleCache_Clear() {
	price := 1999
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return price, nil },
		TTL:  time.Hour,
	}))
	for _, sku := range []string{"lamp", "chair"} {
		if _, err := prices.Get(context.Background(), sku); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(prices.Len())
	price = 1499 // the import
	prices.Clear()
	fmt.Println(prices.Len())
	fmt.Println(prices.Get(context.Background(), "lamp"))
	// Output:
	// 2
	// 0
	// 1499 <nil>
}

// Len returns the number of entries.
func ExampleCache_Len() {
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load:       func(ctx context.Context, sku string) (int, error) { return 1999, nil },
		TTL:        time.Minute,
		MaxEntries: 100,
	}))
	for i := range 250 {
		if _, err := prices.Get(context.Background(), fmt.Sprint("sku-", i)); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(prices.Len())
	// Output: 100
}

// A Stats is a group of attributes for slog. Counts of zero are logged too.
func ExampleStats_LogValue() {
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) { return 1999, nil },
		TTL:  time.Minute,
	}))
	for range 3 {
		if _, err := prices.Get(context.Background(), "lamp"); err != nil {
			fmt.Println(err)
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr { // only for the example
			switch a.Key {
			case slog.MessageKey, "hits", "misses", "loads":
				return a
			}
			return slog.Attr{}
		},
	}))
	logger.Info("done", "prices", prices.Stats())
	// Output: msg=done prices.hits=2 prices.misses=1 prices.loads=1
}
