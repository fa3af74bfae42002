//go:build unix

package redistier_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

type Product struct {
	Name       string
	PriceCents int
}

func loadProduct(ctx context.Context, sku string) (Product, error) {
	return Product{Name: "Lamp", PriceCents: 1999}, nil // SELECT ... WHERE sku = ?
}

// The client connects when it is first used, and not when the function starts.
var client = redistier.Connect(&redis.UniversalOptions{
	Addrs: []string{"127.0.0.1:1"}, // several mean a cluster; TLSConfig, Username and Password as needed
})

var products = cache.Must(cache.New(cache.Options[string, Product]{
	Load:      loadProduct,
	TTL:       time.Minute,
	Tier:      redistier.Must(redistier.New(redistier.Options{Client: client})),
	Namespace: "shop/product/1", // change the number when Product or loadProduct changes
	Codec:     cache.JSON[Product](),
}))

// No server listens at this address. The error is counted, and the caller gets the
// value.
func Example() {
	for range 2 {
		p, err := products.Get(context.Background(), "sku-42")
		fmt.Println(p, err)
	}
	s := products.Stats()
	fmt.Println(s.Loads, "load,", s.TierErrors, "error of the tier")
	// Output:
	// {Lamp 1999} <nil>
	// {Lamp 1999} <nil>
	// 1 load, 1 error of the tier
}
