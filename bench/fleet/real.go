package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/cache/redistier"
	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
	"github.com/warmcache/warmcache/examples/catalog/redistest"
	"github.com/warmcache/warmcache/internal/conditions"
)

// RealConfig is a fleet of real processes of the example catalog.
type RealConfig struct {
	Processes int           `json:"processes"`
	Phase     time.Duration `json:"phase_ns"`  // how long each phase takes
	Pause     time.Duration `json:"pause_ns"`  // of a process between two requests
	Writes    time.Duration `json:"writes_ns"` // a row is changed each time this has passed
	TTL       time.Duration `json:"ttl_ns"`
	Products  int           `json:"products"`
	Tenants   int           `json:"tenants"`
}

// DefaultReal takes half a minute.
func DefaultReal() RealConfig {
	return RealConfig{
		Processes: 50,
		Phase:     8 * time.Second,
		Pause:     20 * time.Millisecond,
		Writes:    10 * time.Millisecond,
		TTL:       2 * time.Second,
		Products:  50,
		Tenants:   4,
	}
}

func (c *RealConfig) validate() error {
	switch {
	case c.Processes < 1 || c.Processes > 90: // PostgreSQL takes 100
		return fmt.Errorf("processes are %d: there may be 1 to 90", c.Processes)
	case c.Phase <= 0 || c.Pause < 0 || c.Writes <= 0:
		return errors.New("phase and writes must be positive, and pause not negative")
	case c.TTL <= 0:
		return fmt.Errorf("ttl is %v: it must be positive", c.TTL)
	case c.Products < 1 || c.Tenants < 1:
		return fmt.Errorf("products are %d and tenants %d: both must be positive", c.Products, c.Tenants)
	}
	return nil
}

// RealPhase is what a fleet did while its Redis was in one state.
type RealPhase struct {
	Name     string  `json:"name"`
	Requests int64   `json:"requests"`
	Errors   int64   `json:"errors"`
	Wrong    int64   `json:"wrong"`      // answers that the database had not given within TTL
	Loads    int64   `json:"loads"`      // as counted by the database
	Shared   int64   `json:"redis_keys"` // what Redis had at the end
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`

	times []time.Duration
}

// RealResult is what Real has seen.
type RealResult struct {
	Conditions conditions.Conditions `json:"conditions"` // the command's; Real leaves them out

	Config RealConfig   `json:"config"`
	Phases []*RealPhase `json:"phases"`
	First  string       `json:"first_fault,omitempty"` // of the wrong answers and errors
}

// The phases. In the first, all containers are cold, and so is the tier.
var phaseNames = []string{"redis runs", "redis killed", "redis again"}

// realFleet is a run of Real.
type realFleet struct {
	RealConfig
	redis      *redistest.Server
	db         *pgx.Conn
	containers []host.Sandbox
	history    *history
	phase      atomic.Int32

	mu     sync.Mutex
	result RealResult
}

// Real runs a fleet of containers of the example catalog, which share a Redis that is
// killed and started again while they are asked. Rows of the PostgreSQL behind them
// change all the time, and each answer is checked: it must be of its key, and what
// the database had at some moment of the TTL before.
//
// It needs redis-server and PostgreSQL: without them its error matches
// redistest.ErrNotInstalled or postgrestest.ErrNotInstalled.
func Real(ctx context.Context, c RealConfig) (_ *RealResult, err error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("fleet real: %w", err)
	}
	f := &realFleet{RealConfig: c, history: newHistory()}
	f.result.Config = c
	for _, name := range phaseNames {
		f.result.Phases = append(f.result.Phases, &RealPhase{Name: name})
	}
	if f.redis, err = redistest.Start(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.redis.Close()) }()
	postgres, err := postgrestest.Start()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, postgres.Close()) }()
	if err := f.seed(ctx, postgres.URL()); err != nil {
		return nil, err
	}
	defer f.db.Close(context.WithoutCancel(ctx))
	if err := f.run(ctx, postgres.URL()); err != nil {
		return nil, err
	}
	return f.sum(), nil
}

// seed makes the rows. The table of the catalog is a view that counts how often a row
// is looked at, and the price is the number of the row's version.
func (f *realFleet) seed(ctx context.Context, url string) (err error) {
	if f.db, err = pgx.Connect(ctx, url); err != nil {
		return err
	}
	_, err = f.db.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE versions (tenant text, sku text, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (tenant, sku));
		INSERT INTO versions SELECT 'tenant' || t, 'sku' || s FROM generate_series(0, %d) t, generate_series(0, %d) s;
		CREATE SEQUENCE loads;
		CREATE VIEW products AS
			SELECT tenant, sku, '' AS name, version AS price_cents, 1::bigint AS stock, '' AS description
			FROM versions WHERE nextval('loads') > 0`, f.Tenants-1, f.Products-1))
	return err
}

// run makes the containers, asks them through all phases, and ends them.
func (f *realFleet) run(ctx context.Context, url string) (err error) {
	dir, err := os.MkdirTemp("", "warmcache-fleet-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
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
		Env:    []string{"DATABASE_URL=" + url, "REDIS_URL=" + f.redis.URL(), "CATALOG_TTL=" + f.TTL.String()},
	}
	for range f.Processes {
		c, err := action.Container()
		if err != nil {
			return err
		}
		f.containers = append(f.containers, c)
	}
	g, groupCtx := errgroup.WithContext(ctx)
	asking, stop := context.WithCancel(groupCtx)
	for i := range f.containers {
		g.Go(func() error { return f.askAll(asking, i) })
	}
	g.Go(func() error { defer stop(); return f.conduct(groupCtx) })
	return errors.Join(g.Wait(), ctx.Err())
}

// conduct goes through the phases, and changes rows meanwhile.
func (f *realFleet) conduct(ctx context.Context) error {
	var before int64
	for i, phase := range f.result.Phases {
		switch i {
		case 1:
			f.redis.Kill()
		case 2:
			if err := f.redis.Restart(); err != nil {
				return err
			}
		}
		f.phase.Store(int32(i))
		if err := f.write(ctx); err != nil {
			return err
		}
		loads, err := f.countLoads(ctx)
		if err != nil {
			return err
		}
		phase.Loads, before = loads-before, loads
		if i != 1 {
			phase.Shared, err = f.countShared(ctx)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// write changes rows until the phase is over.
func (f *realFleet) write(ctx context.Context) error {
	over := time.After(f.Phase)
	tick := time.NewTicker(f.Writes)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		k := f.key(rand.IntN(f.Tenants), rand.IntN(f.Products))
		f.history.begin(k)
		if _, err := f.db.Exec(ctx, `UPDATE versions SET version = version + 1 WHERE tenant = $1 AND sku = $2`, k.Tenant, k.SKU); err != nil {
			return err
		}
		f.history.end(k, time.Now())
	}
}

func (f *realFleet) countLoads(ctx context.Context) (n int64, err error) {
	err = f.db.QueryRow(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM loads`).Scan(&n)
	return n, err
}

// countShared returns how many keys Redis has.
func (f *realFleet) countShared(ctx context.Context) (int64, error) {
	client, err := redistier.ConnectURL(f.redis.URL())
	if err != nil {
		return 0, err
	}
	defer client.Close()
	return client.DBSize(ctx).Result()
}

func (f *realFleet) key(tenant, sku int) productKey {
	return productKey{"tenant" + strconv.Itoa(tenant), "sku" + strconv.Itoa(sku)}
}

// askAll asks one container until ctx ends.
func (f *realFleet) askAll(ctx context.Context, container int) error {
	zipf := newZipf(f.Products, Default().Skew)
	rng := rand.New(rand.NewPCG(uint64(container), 5))
	for ctx.Err() == nil {
		k := f.key(rng.IntN(f.Tenants), zipf.draw(rng))
		phase, asked := f.phase.Load(), time.Now()
		p, err := ask(ctx, f.containers[container], k)
		if ctx.Err() != nil {
			break
		}
		f.note(phase, k, p, err, time.Since(asked), asked)
		select {
		case <-ctx.Done():
		case <-time.After(f.Pause):
		}
	}
	return nil
}

// ask asks a container for the price of a product.
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
func (f *realFleet) note(phase int32, k productKey, got product, err error, took time.Duration, asked time.Time) {
	wrong := f.history.check(k, got, asked, f.TTL)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.result.Phases[phase]
	p.Requests++
	p.times = append(p.times, took)
	switch {
	case err != nil:
		p.Errors++
		f.fault(err.Error())
	case wrong != nil:
		p.Wrong++
		f.fault(wrong.Error())
	}
}

func (f *realFleet) fault(what string) {
	if f.result.First == "" {
		f.result.First = strings.TrimSpace(what)
	}
}

func (f *realFleet) sum() *RealResult {
	r := &f.result
	for _, p := range r.Phases {
		slices.Sort(p.times)
		if n := len(p.times); n > 0 {
			p.P50, p.P99, p.Max = ms(p.times[n/2]), ms(p.times[n*99/100]), ms(p.times[n-1])
		}
	}
	return r
}
