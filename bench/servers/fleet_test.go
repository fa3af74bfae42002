package servers

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/cache/redistier"
	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
	"github.com/warmcache/warmcache/examples/catalog/redistest"
	"github.com/warmcache/warmcache/internal/compare"
)

// large is the fleet of bench/RESULTS.md, which takes half a minute.
var large = flag.Bool("large", false, "TestFleet has 50 containers and three phases of 8 s")

// fleet is a number of real processes of the example catalog.
type fleet struct {
	processes         int
	phases            []*phase
	phase             time.Duration // least duration of each phase
	pause             time.Duration // of a process between two requests
	writes            time.Duration // interval between changes of a row
	ttl               time.Duration
	products, tenants int

	redis      *redistest.Server
	db         *pgx.Conn
	containers []host.Sandbox
	history    *history
	current    atomic.Int32

	mu    sync.Mutex
	first string // the first wrong answer or error
}

// phase is a period in which Redis is in one state.
type phase struct {
	name                    string
	killed                  bool // Redis does not run
	complete                bool // all figures were seen
	requests, errors, wrong int
	loads, shared           int64 // as counted by the database, and the keys of Redis at the end
	took                    []float64
}

// A fleet of containers of the example catalog shares a Redis, which is killed and
// restarted while they serve requests. Rows in the PostgreSQL behind them change
// all the time. Each answer must have the requested key and a version that the
// database had within TTL before the request, or since.
func TestFleet(t *testing.T) {
	f := &fleet{processes: 6, phase: 700 * time.Millisecond, pause: 5 * time.Millisecond, writes: 10 * time.Millisecond,
		ttl: 300 * time.Millisecond, products: 10, tenants: 4, history: newHistory()}
	if *large {
		f.processes, f.phase, f.pause, f.ttl, f.products = 50, 8*time.Second, 20*time.Millisecond, 2*time.Second, 50
	}
	// In the first, all containers are cold.
	f.phases = []*phase{{name: "redis runs"}, {name: "redis killed", killed: true}, {name: "redis again"}}
	var err error
	if f.redis, err = redistest.Start(); err != nil {
		skipWithout(t, err, redistest.ErrNotInstalled)
	}
	t.Cleanup(func() { f.redis.Close() })
	postgres, err := postgrestest.Start()
	if err != nil {
		skipWithout(t, err, postgrestest.ErrNotInstalled)
	}
	t.Cleanup(func() { postgres.Close() })
	if err := f.seed(t.Context(), postgres.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.db.Close(context.Background()) })
	if err := f.run(t, postgres.URL()); err != nil {
		t.Fatal(err)
	}
	f.report(t)
}

func skipWithout(t *testing.T, err, notInstalled error) {
	t.Helper()
	if errors.Is(err, notInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") != "all" {
		t.Skipf("needs redis-server and a PostgreSQL server: %v", err)
	}
	t.Fatal(err)
}

// report logs the table of bench/RESULTS.md, and fails if anything was wrong.
func (f *fleet) report(t *testing.T) {
	t.Helper()
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "phase\trequests\tloads per request\tkeys of Redis\tp50 ms\tp99 ms\t")
	for _, p := range f.phases {
		if p.errors+p.wrong > 0 {
			t.Errorf("%s: %d errors and %d wrong answers; the first of all: %s", p.name, p.errors, p.wrong, f.first)
		}
		if !p.complete {
			t.Errorf("%s: %d requests, %d loads, %d keys of Redis", p.name, p.requests, p.loads, p.shared)
		}
		slices.Sort(p.took)
		fmt.Fprintf(w, "%s\t%d\t%.1f%%\t%d\t%.2f\t%.2f\t\n", p.name, p.requests, 100*float64(p.loads)/float64(p.requests), p.shared,
			compare.Percentile(p.took, 50), compare.Percentile(p.took, 99))
	}
	w.Flush()
	t.Logf("%d containers, %d keys, TTL %v\n%s", f.processes, f.products*f.tenants, f.ttl, &table)
}

// seed creates the rows. The table of the catalog is a view that counts the reads
// of a row. The price is the row's version.
func (f *fleet) seed(ctx context.Context, url string) (err error) {
	if f.db, err = pgx.Connect(ctx, url); err != nil {
		return err
	}
	_, err = f.db.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE versions (tenant text, sku text, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (tenant, sku));
		INSERT INTO versions SELECT 'tenant' || t, 'sku' || s FROM generate_series(0, %d) t, generate_series(0, %d) s;
		CREATE SEQUENCE loads;
		CREATE VIEW products AS
			SELECT tenant, sku, '' AS name, version AS price_cents, 1::bigint AS stock, '' AS description
			FROM versions WHERE nextval('loads') > 0`, f.tenants-1, f.products-1))
	return err
}

// run starts the containers, sends them requests through all phases, and ends them.
func (f *fleet) run(t *testing.T, url string) (err error) {
	ctx, dir := t.Context(), t.TempDir()
	if err := checkout.Build(ctx, dir, "catalog"); err != nil {
		return err
	}
	defer func() {
		for _, c := range f.containers {
			err = errors.Join(err, c.Close())
		}
	}()
	action := host.OpenWhisk{
		Binary: filepath.Join(dir, "catalog"),
		Env:    []string{"DATABASE_URL=" + url, "REDIS_URL=" + f.redis.URL(), "CATALOG_TTL=" + f.ttl.String()},
	}
	for range f.processes {
		c, err := action.Container()
		if err != nil {
			return err
		}
		f.containers = append(f.containers, c)
	}
	g, groupCtx := errgroup.WithContext(ctx)
	asking, stop := context.WithCancel(groupCtx)
	for i := range f.containers {
		g.Go(func() error { f.askAll(asking, i); return nil })
	}
	g.Go(func() error { defer stop(); return f.conduct(groupCtx) })
	return errors.Join(g.Wait(), ctx.Err())
}

// conduct runs the phases, and changes rows during each.
func (f *fleet) conduct(ctx context.Context) error {
	var before int64
	for i, p := range f.phases {
		switch {
		case p.killed:
			f.redis.Kill()
		case i > 0:
			if err := f.redis.Restart(); err != nil {
				return err
			}
		}
		f.current.Store(int32(i))
		if err := f.write(ctx, func() (bool, error) { return f.count(ctx, p, before) }); err != nil {
			return err
		}
		before += p.loads
	}
	return nil
}

// write changes rows until the phase is over and has all its figures. A phase that does
// not get them ends after two minutes.
func (f *fleet) write(ctx context.Context, complete func() (bool, error)) error {
	begun := time.Now()
	tick := time.NewTicker(f.writes)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		if past := time.Since(begun); past >= f.phase {
			if ok, err := complete(); ok || err != nil || past > 2*time.Minute {
				return err
			}
		}
		k := f.key(rand.IntN(f.tenants), rand.IntN(f.products))
		f.history.begin(k)
		if _, err := f.db.Exec(ctx, `UPDATE versions SET version = version + 1 WHERE tenant = $1 AND sku = $2`, k.Tenant, k.SKU); err != nil {
			return err
		}
		f.history.end(k, time.Now())
	}
}

// count sets the figures of a phase, and reports whether they are complete: the
// containers were asked, loaded, and used their caches and Redis. It counts the requests
// first, so that the loads of all of them are counted.
func (f *fleet) count(ctx context.Context, p *phase, before int64) (bool, error) {
	f.mu.Lock()
	requests := int64(p.requests)
	f.mu.Unlock()
	loads, err := f.countLoads(ctx)
	if err != nil {
		return false, err
	}
	p.loads = loads - before
	if !p.killed {
		if p.shared, err = f.countShared(ctx); err != nil {
			return false, err
		}
	}
	p.complete = 0 < p.loads && p.loads < requests && (p.killed || p.shared > 0)
	return p.complete, nil
}

func (f *fleet) countLoads(ctx context.Context) (n int64, err error) {
	err = f.db.QueryRow(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM loads`).Scan(&n)
	return n, err
}

// countShared returns the number of keys in Redis.
func (f *fleet) countShared(ctx context.Context) (int64, error) {
	client, err := redistier.ConnectURL(f.redis.URL())
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.DBSize(ctx).Result()
}

func (f *fleet) key(tenant, sku int) productKey {
	return productKey{"tenant" + strconv.Itoa(tenant), "sku" + strconv.Itoa(sku)}
}

// askAll sends requests to one container until ctx ends.
func (f *fleet) askAll(ctx context.Context, container int) {
	rng := rand.New(rand.NewPCG(uint64(container), 5))
	zipf := rand.NewZipf(rng, 1.01, 1, uint64(f.products-1))
	for ctx.Err() == nil {
		k := f.key(rng.IntN(f.tenants), int(zipf.Uint64()))
		current, asked := f.current.Load(), time.Now()
		p, err := ask(ctx, f.containers[container], k)
		if ctx.Err() != nil {
			return
		}
		f.note(current, k, p, err, time.Since(asked), asked)
		select {
		case <-ctx.Done():
		case <-time.After(f.pause):
		}
	}
}

// ask requests the price of a product from a container.
func ask(ctx context.Context, c host.Sandbox, k productKey) (p product, err error) {
	event, err := json.Marshal(struct {
		productKey
		Quantity int `json:"quantity"`
	}{k, 1})
	if err != nil {
		return p, err
	}
	r, err := c.Invoke(ctx, event)
	switch {
	case err != nil:
		return p, err
	case r.FunctionError != nil:
		return p, errors.New(r.FunctionError.Message)
	}
	return p, json.Unmarshal(r.Payload, &p)
}

// note checks and counts an answer.
func (f *fleet) note(current int32, k productKey, got product, err error, took time.Duration, asked time.Time) {
	wrong := f.history.check(k, got, asked, f.ttl)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.phases[current]
	p.requests++
	p.took = append(p.took, float64(took)/float64(time.Millisecond))
	switch {
	case err != nil:
		p.errors++
		f.fault(err.Error())
	case wrong != nil:
		p.wrong++
		f.fault(wrong.Error())
	}
}

func (f *fleet) fault(what string) {
	if f.first == "" {
		f.first = strings.TrimSpace(what)
	}
}

// productKey is a product of a tenant.
type productKey struct {
	Tenant string `json:"tenant"`
	SKU    string `json:"sku"`
}

// product is an answer of the catalog, with its key, so that a product of another
// key is detected.
type product struct {
	productKey
	Version int64 `json:"unit_cents"`
}

// history records the versions of the database's rows, to check answers.
type history struct {
	mu   sync.Mutex
	rows map[productKey]*versions
}

// versions of a row are numbered from 1.
type versions struct {
	begun int64       // the last version sent to the database
	gone  []time.Time // when a newer version was certainly visible, by version-1
}

func newHistory() *history { return &history{rows: map[productKey]*versions{}} }

// begin is called before a row changes, and end after it has changed.
func (h *history) begin(k productKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.rows[k] == nil {
		h.rows[k] = &versions{begun: 1}
	}
	h.rows[k].begun++
}

func (h *history) end(k productKey, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows[k].gone = append(h.rows[k].gone, now)
}

// check returns an error if p is a wrong answer to a request for k at that time,
// with a cache of that TTL. A right answer is a version that the database had
// within TTL before the request, or since.
func (h *history) check(k productKey, p product, asked time.Time, ttl time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	row := h.rows[k]
	if row == nil {
		row = &versions{begun: 1}
	}
	switch {
	case p.productKey != k:
		return fmt.Errorf("requested %+v, got %+v", k, p.productKey)
	case p.Version < 1 || p.Version > row.begun:
		return fmt.Errorf("%+v: version %d of %d", k, p.Version, row.begun)
	case p.Version <= int64(len(row.gone)):
		if old := asked.Sub(row.gone[p.Version-1]); old > ttl {
			return fmt.Errorf("%+v: version %d was replaced %v before, and TTL is %v", k, p.Version, old, ttl)
		}
	}
	return nil
}

// The check of answers detects wrong ones.
func TestHistory(t *testing.T) {
	const ttl = time.Minute
	h, k, start := newHistory(), productKey{"blue", "lamp"}, time.Now()
	at := func(d time.Duration) time.Time { return start.Add(d) }
	h.begin(k)
	h.end(k, at(0)) // version 2
	h.begin(k)      // perhaps version 3
	for _, tt := range []struct {
		name  string
		p     product
		asked time.Time
		wrong bool
	}{
		{"the present one", product{k, 2}, at(time.Hour), false},
		{"the next one, perhaps", product{k, 3}, at(time.Hour), false},
		{"one that nobody wrote", product{k, 4}, at(time.Hour), true},
		{"none", product{k, 0}, at(time.Hour), true},
		{"an old one, within TTL", product{k, 1}, at(ttl), false},
		{"an old one", product{k, 1}, at(ttl + 1), true},
		{"somebody else's", product{productKey{"lamp", "blue"}, 2}, at(0), true},
	} {
		if err := h.check(k, tt.p, tt.asked, ttl); (err != nil) != tt.wrong {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	other := productKey{"green", "lamp"}
	if err := h.check(other, product{other, 1}, at(time.Hour), ttl); err != nil {
		t.Errorf("a row that never changed: %v", err)
	}
}
