package cache_test

import (
	"errors"
	"fmt"

	"github.com/warmcache/warmcache/cache"
)

// JSON encodes values for a Tier.
func ExampleJSON() {
	type Price struct {
		Cents    int    `json:"cents"`
		Currency string `json:"currency"`
	}
	codec := cache.JSON[Price]()
	b, err := codec.Encode(Price{1999, "EUR"})
	fmt.Println(string(b), err)
	fmt.Println(codec.Decode(b))
	// Output:
	// {"cents":1999,"currency":"EUR"} <nil>
	// {1999 EUR} <nil>
}

// JSON would lose the password, so it needs Gob.
func ExampleGob() {
	type Account struct {
		User     string
		Password string `json:"-"`
	}
	codec := cache.Gob[Account]()
	b, err := codec.Encode(Account{"ann", "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(codec.Decode(b))
	// Output: {ann secret} <nil>
}

// A log shows which key failed.
func ExampleKeyErrors_Error() {
	err := cache.KeyErrors[string]{"lamp": errors.New("throttled")}
	fmt.Println(err)
	// Output: key lamp failed: throttled
}
