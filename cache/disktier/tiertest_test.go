package disktier

import (
	"testing"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/tiertest"
)

func TestConformance(t *testing.T) {
	tiertest.Test(t, func(t *testing.T) (a, b cache.Tier) {
		o := Options{Dir: t.TempDir()}
		return Must(New(o)), Must(New(o))
	})
}
