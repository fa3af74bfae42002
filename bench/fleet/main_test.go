package fleet

import (
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is a Config that takes milliseconds: one container that never ends, and one key.
func small() Config {
	c := Default()
	c.For = time.Hour
	c.Arrivals, c.Rate = Constant, 1
	c.Products, c.Tenants = 1, 1
	c.Containers = 1
	c.IdleMax, c.LifeMean, c.LifeMax = 0, 0, 0
	c.Init, c.Handler = Latency{}, Latency{10 * time.Millisecond, 10 * time.Millisecond}
	c.Database = Latency{3 * time.Millisecond, 3 * time.Millisecond}
	return c
}

// busy is a Config that uses every option.
func busy() Config {
	c := Default()
	c.For = 10 * time.Minute
	c.Rate = 50
	c.Containers = 20
	c.Products, c.Tenants = 20, 3
	c.Entries = 30
	c.TTL = 20 * time.Second
	c.LifeMean = 5 * time.Minute
	c.DeployAt = time.Minute
	c.Database = Latency{30 * time.Millisecond, 900 * time.Millisecond} // leases run out
	c.ClockApart = c.ClockSkew
	return c
}

func run(t *testing.T, c Config, variant string) *Result {
	t.Helper()
	variants := Variants()
	i := slices.IndexFunc(variants, func(v Variant) bool { return v.Name == variant })
	r, err := Run(t.Context(), c, variants[i])
	if err != nil {
		t.Fatal(err)
	}
	return r
}
