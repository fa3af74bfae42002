package cache

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// Two versions of a program that use one Namespace for different key types never get
// each other's records, although the keys have the same encoding.
func TestKeyShapeIsPartOfTheIdentity(t *testing.T) {
	type byTenant struct{ Tenant, SKU string }
	type bySKU struct{ SKU, Tenant string }
	type nested struct {
		Tenant string
		Rest   struct{ SKU string }
	}
	type renamed struct{ Tenant, SKU string }
	tier := newFakeTier()
	ask := func(name string, get func(load string) string, want string) {
		t.Helper()
		if got := get(name); got != want {
			t.Errorf("%s got the value of %s", name, got)
		}
	}
	ask("int64", asker(t, tier, int64(21)), "int64")
	ask("uint64", asker(t, tier, uint64(42)), "uint64")
	ask("int64 again", asker(t, tier, int64(21)), "int64 again")
	ask("string", asker(t, tier, "*"), "string")
	ask("tenant, SKU", asker(t, tier, byTenant{"a", "b"}), "tenant, SKU")
	ask("SKU, tenant", asker(t, tier, bySKU{"a", "b"}), "SKU, tenant")
	ask("regrouped", asker(t, tier, nested{"a", struct{ SKU string }{"b"}}), "regrouped")
	ask("array", asker(t, tier, [2]string{"a", "b"}), "array")
	ask("first", asker(t, tier, byTenant{"c", "d"}), "first")
	ask("another type of the same shape", asker(t, tier, renamed{"c", "d"}), "first")
}

// asker returns the Get of key in a new cache whose Load returns its argument.
func asker[K comparable](t *testing.T, tier Tier, key K) func(load string) string {
	return func(load string) string {
		c := Must(New(Options[K, string]{
			Load: func(context.Context, K) (string, error) { return load, nil },
			TTL:  Forever, Tier: tier, Namespace: "n", Codec: JSON[string](),
		}))
		v, err := c.Get(background, key)
		if err != nil {
			t.Error(err)
		}
		return v
	}
}

// A record on which the caller's functions panic is a miss that Load replaces, in all
// containers, also in GetMany.
func TestPanicOnARecord(t *testing.T) {
	for name, change := range map[string]func(*Options[string, string]){
		"Decode": func(o *Options[string, string]) {
			decode := o.Codec.Decode
			o.Codec.Decode = func(b []byte) (string, error) {
				if string(b) == `"k v1"` {
					panic("poisoned")
				}
				return decode(b)
			}
		},
		"TTLOf": func(o *Options[string, string]) {
			ttl := o.TTL
			o.TTLOf = func(_, v string) time.Duration { return ttl + time.Duration(panicOn(v)) }
		},
		"Size": func(o *Options[string, string]) {
			o.MaxBytes = 1000
			o.Size = func(_, v string) int64 { return panicOn(v) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			for how, get := range map[string]func(*Cache[string, string]) (string, error){
				"Get": func(c *Cache[string, string]) (string, error) { return c.Get(background, "k") },
				"GetMany": func(c *Cache[string, string]) (string, error) {
					r, err := c.GetMany(background, []string{"k"})
					if err != nil {
						return "", err
					}
					return r[0].Value, nil
				},
			} {
				tier, o := newFakeTier(), &origin{}
				wantGet(t, newTest(t, o, clock.New(), withTier(tier)), "k", "k v1") // the poisoned one
				many := func(opts *Options[string, string]) {
					opts.LoadMany = func(ctx context.Context, keys []string) (map[string]string, error) {
						v, err := o.load(ctx, keys[0])
						return map[string]string{keys[0]: v}, err
					}
				}
				for range 2 { // the second one finds the record of the first
					c := newTest(t, o, clock.New(), withTier(tier), many, change)
					if v, err := get(c); v != "k v2" || err != nil {
						t.Errorf("%s = %q, %v", how, v, err)
					}
				}
				c := newTest(t, o, clock.New(), withTier(tier), many, change)
				if get(c); c.Stats().TierHits != 1 {
					t.Errorf("%s: the record was not replaced: %+v", how, c.Stats())
				}
			}
		})
	}
}

func panicOn(v string) int64 {
	if v == "k v1" {
		panic("poisoned")
	}
	return 1
}

// If Encode panics or fails, the value is still returned, and stays in memory.
func TestEncodeFails(t *testing.T) {
	for name, encode := range map[string]func(string) ([]byte, error){
		"panic": func(string) ([]byte, error) { panic("cannot") },
		"error": func(string) ([]byte, error) { return nil, errors.New("cannot") },
	} {
		t.Run(name, func(t *testing.T) {
			tier, o := newFakeTier(), &origin{}
			c := newTest(t, o, clock.New(), withTier(tier), func(o *Options[string, string]) { o.Codec.Encode = encode })
			wantGet(t, c, "k", "k v1")
			wantGet(t, c, "k", "k v1")
			if s := c.Stats(); s.CodecErrors != 1 || s.Hits != 1 || s.TierErrors != 0 {
				t.Errorf("Stats = %+v", s)
			}
			if len(tier.records) != 0 || len(tier.leases["test/1:k"]) != 0 {
				t.Errorf("the Tier has %q and the leases %v", tier.records, tier.leases)
			}
		})
	}
}

// A Decode that appends to the payload does not write to the Tier's bytes behind it.
func TestDecodeCannotReachBeyondThePayload(t *testing.T) {
	tier, o := newFakeTier(), &origin{}
	wantGet(t, newTest(t, o, clock.New(), withTier(tier)), "k", "k v1")
	before := string(tier.records["test/1:k"])
	c := newTest(t, o, clock.New(), withTier(tier), func(o *Options[string, string]) {
		decode := o.Codec.Decode
		o.Codec.Decode = func(b []byte) (string, error) {
			_ = append(b, strings.Repeat(" ", 4)...)
			return decode(b)
		}
	})
	wantGet(t, c, "k", "k v1")
	if string(tier.records["test/1:k"]) != before {
		t.Error("the record was changed")
	}
}
