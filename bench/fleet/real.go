package fleet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
	"github.com/warmcache/warmcache/internal/conditions"
)

// RealConfig is a fleet of real processes.
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
	case c.TTL <= realClockSkew:
		return fmt.Errorf("ttl is %v: it must be above %v", c.TTL, realClockSkew)
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
	Wrong    int64   `json:"wrong"` // answers that the database had not given within TTL
	Loads    int64   `json:"loads"` // as counted by the database
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Max      float64 `json:"max_ms"`

	times []time.Duration
}

// RealResult is what Real has seen. The sums are what the caches counted.
type RealResult struct {
	Conditions conditions.Conditions `json:"conditions"` // the command's; Real leaves them out

	Config     RealConfig   `json:"config"`
	Phases     []*RealPhase `json:"phases"`
	Hits       int64        `json:"hits"`
	TierHits   int64        `json:"tier_hits"`
	Loads      int64        `json:"loads"`
	TierErrors int64        `json:"tier_errors"`
	First      string       `json:"first_fault,omitempty"` // of the wrong answers and errors
}

// The phases. In the first, all containers are cold, and so is the tier.
var phaseNames = []string{"redis runs", "redis killed", "redis again"}

// realFleet is a run of Real.
type realFleet struct {
	RealConfig
	redis   *redisServer
	db      *pgx.Conn
	workers []*process
	history *history
	phase   atomic.Int32

	mu     sync.Mutex
	result RealResult
	stats  []cache.Stats // of each worker, the last
}

// Real runs a fleet of processes, each with a cache, which share a Redis that is
// killed and started again while they are asked. Rows of the PostgreSQL behind them
// change all the time, and each answer is checked: it must be of its key, and what
// the database had at some moment of the TTL before.
//
// It needs redis-server and PostgreSQL: without them its error matches
// exec.ErrNotFound or postgrestest.ErrNotInstalled.
func Real(ctx context.Context, c RealConfig) (_ *RealResult, err error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("fleet real: %w", err)
	}
	f := &realFleet{RealConfig: c, history: newHistory(), stats: make([]cache.Stats, c.Processes)}
	f.result.Config = c
	for _, name := range phaseNames {
		f.result.Phases = append(f.result.Phases, &RealPhase{Name: name})
	}
	if f.redis, err = newRedis(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.redis.close()) }()
	if err := f.redis.start(); err != nil {
		return nil, err
	}
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

// seed makes the rows.
func (f *realFleet) seed(ctx context.Context, url string) (err error) {
	if f.db, err = pgx.Connect(ctx, url); err != nil {
		return err
	}
	_, err = f.db.Exec(ctx, fmt.Sprintf(`
		CREATE TABLE products (tenant int, sku int, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (tenant, sku));
		INSERT INTO products SELECT t, s FROM generate_series(0, %d) t, generate_series(0, %d) s;
		CREATE SEQUENCE loads`, f.Tenants-1, f.Products-1))
	return err
}

// run starts the workers, asks them through all phases, and ends them.
func (f *realFleet) run(ctx context.Context, url string) (err error) {
	defer func() {
		for _, w := range f.workers {
			err = errors.Join(err, w.close())
		}
	}()
	for range f.Processes {
		w, err := startWorker(ctx, databaseVar+"="+url, redisVar+"="+f.redis.url(), ttlVar+"="+f.TTL.String())
		if err != nil {
			return err
		}
		f.workers = append(f.workers, w)
	}
	g, groupCtx := errgroup.WithContext(ctx)
	asking, stop := context.WithCancel(groupCtx)
	for i := range f.workers {
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
			f.redis.kill()
		case 2:
			if err := f.redis.start(); err != nil {
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
		k := productKey{rand.IntN(f.Tenants), rand.IntN(f.Products)}
		f.history.begin(k)
		if _, err := f.db.Exec(ctx, `UPDATE products SET version = version + 1 WHERE tenant = $1 AND sku = $2`, k.Tenant, k.SKU); err != nil {
			return err
		}
		f.history.end(k, time.Now())
	}
}

func (f *realFleet) countLoads(ctx context.Context) (n int64, err error) {
	err = f.db.QueryRow(ctx, `SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM loads`).Scan(&n)
	return n, err
}

// askAll asks one worker until ctx ends.
func (f *realFleet) askAll(ctx context.Context, worker int) error {
	zipf := newZipf(f.Products, Default().Skew)
	rng := rand.New(rand.NewPCG(uint64(worker), 5))
	for ctx.Err() == nil {
		k := productKey{rng.IntN(f.Tenants), zipf.draw(rng)}
		phase, asked := f.phase.Load(), time.Now()
		a, err := f.workers[worker].ask(k)
		if err != nil {
			return err
		}
		took := time.Since(asked)
		f.note(worker, phase, k, a, took, asked)
		select {
		case <-ctx.Done():
		case <-time.After(f.Pause):
		}
	}
	return nil
}

// note checks and counts an answer.
func (f *realFleet) note(worker int, phase int32, k productKey, a answer, took time.Duration, asked time.Time) {
	wrong := f.history.check(k, a.Product, asked, f.TTL)
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.result.Phases[phase]
	p.Requests++
	p.times = append(p.times, took)
	f.stats[worker] = a.Stats
	switch {
	case a.Error != "":
		p.Errors++
		f.fault(a.Error)
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
	for _, s := range f.stats {
		r.Hits += s.Hits
		r.TierHits += s.TierHits
		r.Loads += s.Loads
		r.TierErrors += s.TierErrors
	}
	return r
}
