package disktier_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/disktier"
)

type Product struct {
	Name       string
	PriceCents int
}

// A process that is started again in the same container finds the values that the
// previous one has loaded.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) // only for the example: usually Dir stays empty

	process := func() {
		products := cache.Must(cache.New(cache.Options[string, Product]{
			Load: func(ctx context.Context, sku string) (Product, error) {
				fmt.Println("loading", sku)
				return Product{Name: "Lamp", PriceCents: 1999}, nil
			},
			TTL:       time.Minute,
			Tier:      disktier.Must(disktier.New(disktier.Options{Dir: dir})),
			Namespace: "shop/product/1",
			Codec:     cache.JSON[Product](),
		}))
		p, err := products.Get(context.Background(), "sku-42")
		fmt.Println(p, err)
	}
	process()
	process() // after a crash
	// Output:
	// loading sku-42
	// {Lamp 1999} <nil>
	// {Lamp 1999} <nil>
}
