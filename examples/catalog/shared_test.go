package main

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
	"github.com/warmcache/warmcache/examples/catalog/redistest"
)

// newFleet returns n containers that share a Redis server, with empty memories.
func newFleet(t *testing.T, n int) (*redistest.Server, []*cache.Cache[ProductKey, Product]) {
	t.Helper()
	server, err := redistest.Start()
	if errors.Is(err, redistest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs redis-server: run .ci/install/redis")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	var containers []*cache.Cache[ProductKey, Product]
	for range n {
		o, err := sharedOptions(server.URL(), redistier.Options{Timeout: time.Minute, ConnectTimeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		o.TierTimeout = time.Minute // a busy machine is no reason to query the database
		containers = append(containers, cache.Must(cache.New(o)))
	}
	return server, containers
}

// One container loads a row for all. After one container deletes it, the containers
// that have not cached it load it again.
func TestContainersShareARedis(t *testing.T) {
	_, containers := newFleet(t, 3)
	key := ProductKey{Tenant: "blue", SKU: "lamp"}
	before := gate.Count()
	for i, c := range containers[:2] {
		if p, err := c.Get(t.Context(), key); err != nil || p.PriceCents != 1999 {
			t.Errorf("container %d: %+v, %v", i, p, err)
		}
	}
	if n := gate.Count() - before; n != 1 {
		t.Errorf("%d statements for two containers", n)
	}
	containers[0].Delete(key)
	if _, err := containers[2].Get(t.Context(), key); err != nil {
		t.Error(err)
	}
	if n := gate.Count() - before; n != 2 {
		t.Errorf("%d statements after Delete", n)
	}
}

// Without the server, each container queries the database itself.
func TestRedisIsDead(t *testing.T) {
	server, containers := newFleet(t, 2)
	server.Kill()
	before := gate.Count()
	for i, c := range containers {
		if p, err := c.Get(t.Context(), ProductKey{Tenant: "green", SKU: "lamp"}); err != nil || p.PriceCents != 2499 {
			t.Errorf("container %d: %+v, %v", i, p, err)
		}
	}
	if n := gate.Count() - before; n != 2 {
		t.Errorf("%d statements", n)
	}
}

func TestSharedEnvironment(t *testing.T) {
	for _, tt := range []struct{ url, ttl, want string }{
		{"secret@nowhere", "", "REDIS_URL"},
		{"redis://localhost", "soon", "CATALOG_TTL"},
	} {
		t.Setenv("CATALOG_TTL", tt.ttl)
		if _, err := newShared(tt.url); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
