package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/cache/redistier"
)

// Environment variables of a worker.
const (
	databaseVar = "DATABASE_URL"
	redisVar    = "REDIS_URL"
	ttlVar      = "FLEET_TTL"
)

// productKey is a product of a tenant.
type productKey struct{ Tenant, SKU int }

// product is a row, with its key to tell if it is somebody else's.
type product struct {
	Key     productKey
	Version int64
}

// answer is what a worker has for a productKey.
type answer struct {
	Product product
	Error   string `json:",omitempty"`
	Stats   cache.Stats
}

// selectProduct counts the loads where they happen.
const selectProduct = `SELECT tenant, sku, version, nextval('loads') FROM products WHERE tenant = $1 AND sku = $2`

// realClockSkew is small since there is one clock.
const realClockSkew = 50 * time.Millisecond

// work is a container of a real fleet: it answers each line of in, which is a
// productKey, with one line, until in ends.
func work(ctx context.Context, in io.Reader, out io.Writer) error {
	ttl, err := time.ParseDuration(os.Getenv(ttlVar))
	if err != nil {
		return fmt.Errorf("fleet worker: it is started by `bench fleet real`: %w", err)
	}
	db, err := pgx.Connect(ctx, os.Getenv(databaseVar))
	if err != nil {
		return err
	}
	defer db.Close(ctx)
	redis.SetLogger(silent{}) // it tells of each connection that fails
	client, err := redistier.ConnectURL(os.Getenv(redisVar))
	if err != nil {
		return err
	}
	defer client.Close()
	tier, err := redistier.New(redistier.Options{Client: client})
	if err != nil {
		return err
	}
	products, err := cache.New(cache.Options[productKey, product]{
		Load:      func(ctx context.Context, k productKey) (product, error) { return load(ctx, db, k) },
		TTL:       ttl,
		Jitter:    0.1,
		Tier:      tier,
		Namespace: "fleet/product/1",
		Codec:     cache.JSON[product](),
		ClockSkew: realClockSkew,
	})
	if err != nil {
		return err
	}
	return serve(ctx, products, in, out)
}

// silent is a logger of go-redis.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func load(ctx context.Context, db *pgx.Conn, k productKey) (p product, err error) {
	var n int64
	err = db.QueryRow(ctx, selectProduct, k.Tenant, k.SKU).Scan(&p.Key.Tenant, &p.Key.SKU, &p.Version, &n)
	return p, err
}

// serve handles one request after the other, as a container does.
func serve(ctx context.Context, products *cache.Cache[productKey, product], in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out)
	for {
		var key productKey
		if err := requests.Decode(&key); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		p, err := products.Get(ctx, key)
		a := answer{Product: p, Stats: products.Stats()}
		if err != nil {
			a.Error = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}
