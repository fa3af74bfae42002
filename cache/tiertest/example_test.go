package tiertest_test

import (
	"testing"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/disktier"
	"github.com/warmcache/warmcache/cache/tiertest"
)

// A test of a Tier of your own looks like this one.
func ExampleTest() {
	_ = func(t *testing.T) { // func TestTier(t *testing.T)
		tiertest.Test(t, func(t *testing.T) (a, b cache.Tier) {
			dir := t.TempDir()
			open := func() cache.Tier { return disktier.Must(disktier.New(disktier.Options{Dir: dir})) }
			return open(), open()
		})
	}
}
