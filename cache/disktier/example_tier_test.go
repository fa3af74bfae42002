package disktier_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/disktier"
)

// A Cache calls these methods. After Delete, the lease of an earlier Get is void, so that
// a load that began before a write cannot store an old value.
func ExampleTier() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	tier := disktier.Must(disktier.New(disktier.Options{Dir: dir}))
	ctx := context.Background()
	get := func() (lease string) {
		lease, err := tier.Get(ctx, "lamp", func(record []byte) bool {
			fmt.Printf("found %s\n", record)
			return true
		})
		if err != nil {
			fmt.Println(err)
		}
		return lease
	}
	set := func(lease, record string) {
		r := cache.TierRecord{Name: "lamp", Lease: lease, Record: []byte(record), TTL: time.Minute}
		if err := tier.Set(ctx, r); err != nil {
			fmt.Println(err)
		}
	}
	set(get(), "price 1999")
	get()
	if err := tier.Delete(ctx, "lamp"); err != nil {
		fmt.Println(err)
	}
	late := get()
	if err := tier.Delete(ctx, "lamp"); err != nil {
		fmt.Println(err)
	}
	set(late, "price 1999") // stores nothing
	set(get(), "price 1499")
	get()
	// Output:
	// found price 1999
	// found price 1499
}

// New returns an error for Options that cannot be.
func ExampleNew() {
	_, err := disktier.New(disktier.Options{MaxBytes: -1})
	fmt.Println(err)
	// Output: disktier.New: Options.MaxBytes is -1: it must not be negative; zero means DefaultMaxBytes
}
