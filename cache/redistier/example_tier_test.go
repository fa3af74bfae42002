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

// deadTier returns a Tier whose server cannot be reached.
func deadTier() *redistier.Tier {
	client := redistier.Connect(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}})
	return redistier.Must(redistier.New(redistier.Options{Client: client}))
}

// After a write to the database, no container gets the old value from the server. If that
// cannot be promised, Invalidate says so.
func ExampleNew_invalidate() {
	products := cache.Must(cache.New(cache.Options[string, Product]{
		Load:      loadProduct,
		TTL:       time.Minute,
		Tier:      deadTier(),
		Namespace: "shop/product/1",
		Codec:     cache.JSON[Product](),
	}))
	// UPDATE products SET ..., and COMMIT
	if err := products.Invalidate(context.Background(), "sku-42"); err != nil {
		fmt.Println("others may see the old value for a minute")
	}
	// Output: others may see the old value for a minute
}

// Functions often read the URL from an environment variable. Errors of ConnectURL do not
// contain its password.
func ExampleConnectURL() {
	_, err := redistier.ConnectURL("http://user:secret@cache.example.com")
	fmt.Println(err)
	client, err := redistier.ConnectURL("rediss://user:secret@cache.example.com:6379/0")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = redistier.New(redistier.Options{Client: client}) // connects to no server yet
	fmt.Println(err)
	// Output:
	// redistier.ConnectURL: redis.ParseURL rejects the URL, which is not shown because it may contain a password
	// <nil>
}

// In a function of your own, both variables are those of the package. Nothing connects yet.
func ExampleConnect() {
	// The client connects when it is first used, and not when the function starts.
	var client = redistier.Connect(&redis.UniversalOptions{
		Addrs: []string{"127.0.0.1:6379"}, // several mean a cluster; TLSConfig, Username and Password as needed
	})

	var products = cache.Must(cache.New(cache.Options[string, Product]{
		Load:      loadProduct,
		TTL:       time.Minute,
		Tier:      redistier.Must(redistier.New(redistier.Options{Client: client})),
		Namespace: "shop/product/1", // change the number when Product or loadProduct changes
		Codec:     cache.JSON[Product](),
	}))
	fmt.Println(products.Len())
	// Output: 0
}

// A Cache calls these methods. While the server is dead they return errors, most of which
// match ErrOpen and come at once.
func ExampleTier() {
	tier := deadTier()
	ctx := context.Background()
	use := func(record []byte) bool { return true }
	useMany := func(i int, record []byte) bool { return true }
	record := cache.TierRecord{Name: "lamp", Lease: "lease", Record: []byte("price 1999"), TTL: time.Minute}

	_, get := tier.Get(ctx, "lamp", use)
	_, getMany := tier.GetMany(ctx, []string{"lamp", "chair"}, useMany)
	set, setMany := tier.Set(ctx, record), tier.SetMany(ctx, []cache.TierRecord{record})
	del, delMany := tier.Delete(ctx, "lamp"), tier.DeleteMany(ctx, []string{"lamp", "chair"})
	for _, err := range []error{get, getMany, set, setMany, del, delMany} {
		fmt.Println(err != nil)
	}
	// Output:
	// true
	// true
	// true
	// true
	// true
	// true
}

// The counts tell a dead server from one that has no records.
func ExampleTier_Stats() {
	tier := deadTier()
	for range 5 {
		_, err := tier.Get(context.Background(), "lamp", func(record []byte) bool { return true })
		if err == nil {
			fmt.Println("found")
		}
	}
	s := tier.Stats()
	fmt.Println(s.Failures > 0, s.Failures+s.Skipped, "calls failed")
	// Output: true 5 calls failed
}
