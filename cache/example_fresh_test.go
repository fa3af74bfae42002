package cache_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A password is rotated while a container holds the old one. Every caller whose login
// fails requests a newer one than its own; together they cause one Load.
func ExampleCache_Newer() {
	current := "old" // at the secret store, and at the database
	secrets := cache.Must(cache.New(cache.Options[string, string]{
		Load: func(ctx context.Context, name string) (string, error) {
			fmt.Println("loading", name)
			return current, nil // GetSecretValue
		},
		TTL: time.Hour,
	}))
	login := func(password string) error {
		if password != current {
			return errors.New("password authentication failed")
		}
		return nil
	}
	connect := func(ctx context.Context) error {
		secret, err := secrets.Lookup(ctx, "db")
		if err != nil {
			return err
		}
		if login(secret.Value) == nil {
			return nil
		}
		secret, err = secrets.Newer(ctx, "db", secret)
		if err != nil {
			return err
		}
		return login(secret.Value)
	}
	ctx := context.Background()
	fmt.Println(connect(ctx))
	current = "new" // the rotation
	fmt.Println(connect(ctx))
	fmt.Println(connect(ctx))
	// Output:
	// loading db
	// <nil>
	// loading db
	// <nil>
	// <nil>
}

// A token is signed by an unknown key: the key set may have been rotated, or the token
// is forged. GetWithin loads the key set again, but not for each forged token.
func ExampleCache_GetWithin() {
	type keySet map[string]string // key ID: public key
	sets := cache.Must(cache.New(cache.Options[string, keySet]{
		Load: func(ctx context.Context, issuer string) (keySet, error) {
			fmt.Println("fetching the keys of", issuer)
			return keySet{"2026-01": "..."}, nil // GET /.well-known/jwks.json
		},
		TTL: time.Hour,
	}))
	verify := func(ctx context.Context, keyID string) (bool, error) {
		set, err := sets.Get(ctx, "issuer")
		if err != nil {
			return false, err
		}
		if _, ok := set[keyID]; ok {
			return true, nil
		}
		set, err = sets.GetWithin(ctx, "issuer", 15*time.Second)
		if err != nil {
			return false, err
		}
		_, ok := set[keyID]
		return ok, nil
	}
	for _, keyID := range []string{"2026-01", "forged-1", "forged-2", "forged-3"} {
		fmt.Println(verify(context.Background(), keyID))
	}
	// Output:
	// fetching the keys of issuer
	// true <nil>
	// false <nil>
	// false <nil>
	// false <nil>
}

// A configuration service gets requests with the version that the caller has. If that
// is still current, its answer has no content.
func ExampleOptions_reload() {
	type config struct{ Version, Text string }
	version := "v1"
	fetch := func(ifNoneMatch string) (c config, notModified bool) {
		fmt.Printf("GET /config, If-None-Match: %q\n", ifNoneMatch)
		return config{version, "text of " + version}, ifNoneMatch == version
	}
	configs := cache.Must(cache.New(cache.Options[string, config]{
		Load: func(ctx context.Context, name string) (config, error) {
			c, _ := fetch("")
			return c, nil
		},
		Reload: func(ctx context.Context, name string, old config) (config, error) {
			c, notModified := fetch(old.Version)
			if notModified {
				return c, cache.ErrUnchanged
			}
			return c, nil
		},
		TTL: 30 * time.Second,
	}))
	ctx := context.Background()
	show := func(c config, err error) { fmt.Println(c.Text, err) }
	show(configs.Get(ctx, "app"))
	show(configs.Refresh(ctx, "app")) // or Get, after 30 seconds
	version = "v2"
	show(configs.Refresh(ctx, "app"))
	// Output:
	// GET /config, If-None-Match: ""
	// text of v1 <nil>
	// GET /config, If-None-Match: "v1"
	// text of v1 <nil>
	// GET /config, If-None-Match: "v1"
	// text of v2 <nil>
}

// A batch that fails in part returns and caches the other values.
func ExampleKeyErrors() {
	errThrottled := errors.New("throttled")
	items := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, id string) (int, error) { return 0, errThrottled },
		LoadMany: func(ctx context.Context, ids []string) (map[string]int, error) {
			found, failed := map[string]int{}, cache.KeyErrors[string]{}
			for _, id := range ids { // BatchGetItem
				switch id {
				case "a", "b":
					found[id] = 1
				case "unprocessed":
					failed[id] = errThrottled
				}
			}
			return found, failed
		},
		MaxBatch: 100,
		TTL:      time.Minute,
	}))
	ids := []string{"a", "b", "unprocessed", "no such item"}
	results, err := items.GetMany(context.Background(), ids)
	fmt.Println(err) // the first error
	for i, r := range results {
		fmt.Println(ids[i], r.Value, r.Found, r.Err)
	}
	// Output:
	// throttled
	// a 1 true <nil>
	// b 1 true <nil>
	// unprocessed 0 false throttled
	// no such item 0 false <nil>
}

// While the database is down, a stale answer is better than none, and each invocation
// makes at most one attempt.
func ExampleOptions_staleIfError() {
	var down error
	prices := cache.Must(cache.New(cache.Options[string, int]{
		Load: func(ctx context.Context, sku string) (int, error) {
			fmt.Println("loading", sku)
			return 1999, down
		},
		TTL:          time.Nanosecond,
		StaleIfError: time.Hour,
		RetryAfter:   10 * time.Second,
	}))
	ctx := context.Background()
	fmt.Println(prices.Get(ctx, "lamp"))
	down = errors.New("connection refused")
	for range 3 {
		fmt.Println(prices.Get(ctx, "lamp"))
	}
	// Output:
	// loading lamp
	// 1999 <nil>
	// loading lamp
	// 1999 <nil>
	// 1999 <nil>
	// 1999 <nil>
}
