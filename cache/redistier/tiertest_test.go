//go:build unix

package redistier

import (
	"testing"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/tiertest"
)

func TestConformance(t *testing.T) {
	tiertest.Test(t, func(t *testing.T) (a, b cache.Tier) {
		s := startServer(t)
		return newTier(t, patient(s.client())), newTier(t, patient(s.client()))
	})
}
