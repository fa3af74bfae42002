package cache_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A cache for each kind of answer. The tenant is a part of every key, or one tenant
// would get the answer of another.
type (
	CustomerKey struct {
		Tenant string
		ID     int64
	}
	OrdersKey struct {
		Tenant   string
		Customer int64
		Open     bool // an argument of the query
	}
)

type Customer struct {
	Name  string
	Trial bool
}

var customers = cache.Must(cache.New(cache.Options[CustomerKey, Customer]{
	Load: func(ctx context.Context, key CustomerKey) (Customer, error) {
		fmt.Println("loading customer", key.ID, "of", key.Tenant)
		return Customer{Name: "Ann", Trial: true}, nil
	},
	TTL: 10 * time.Minute,
	TTLOf: func(key CustomerKey, c Customer) time.Duration {
		if c.Trial {
			return 10 * time.Second // may sign up at any moment
		}
		return 10 * time.Minute
	},
}))

// The cached answers are the JSON of the response. No caller may change the bytes.
var orders = cache.Must(cache.New(cache.Options[OrdersKey, json.RawMessage]{
	Load: func(ctx context.Context, key OrdersKey) (json.RawMessage, error) {
		fmt.Println("loading the orders of", key.Customer)
		return json.Marshal([]string{"lamp", "chair"})
	},
	TTL:      time.Minute,
	MaxBytes: 8 << 20,
	Size:     func(_ OrdersKey, b json.RawMessage) int64 { return int64(len(b)) },
}))

// This example has two tables, a tenant in each key, and a write.
func Example_tables() {
	ctx := context.Background()
	show := func() {
		c, err := customers.Get(ctx, CustomerKey{Tenant: "blue", ID: 7})
		if err != nil {
			fmt.Println(err)
		}
		list, err := orders.Get(ctx, OrdersKey{Tenant: "blue", Customer: 7, Open: true})
		if err != nil {
			fmt.Println(err)
		}
		fmt.Printf("%s: %s\n", c.Name, list)
	}
	show()
	show()
	// Delete the key once INSERT INTO orders ... is committed.
	orders.Delete(OrdersKey{Tenant: "blue", Customer: 7, Open: true})
	show()
	// Output:
	// loading customer 7 of blue
	// loading the orders of 7
	// Ann: ["lamp","chair"]
	// Ann: ["lamp","chair"]
	// loading the orders of 7
	// Ann: ["lamp","chair"]
}
