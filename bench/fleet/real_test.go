package fleet

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
	"github.com/warmcache/warmcache/examples/catalog/redistest"
)

// A few real processes over a Redis that is killed and comes again.
func TestReal(t *testing.T) {
	c := DefaultReal()
	c.Processes, c.Products = 6, 10
	c.Phase, c.TTL, c.Pause = 700*time.Millisecond, 300*time.Millisecond, 5*time.Millisecond
	r, err := Real(t.Context(), c)
	if missing := errors.Is(err, redistest.ErrNotInstalled) || errors.Is(err, postgrestest.ErrNotInstalled); missing && os.Getenv("WARMCACHE_TEST_REQUIRE") != "all" {
		t.Skipf("needs redis-server and the server of PostgreSQL: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.fault(); err != nil {
		t.Error(err)
	}
	for i, p := range r.Phases {
		if p.Requests == 0 || p.Loads == 0 || p.Loads >= p.Requests || p.P50 <= 0 || p.P99 < p.P50 || p.Max < p.P99 {
			t.Errorf("%+v", p)
		}
		if i != 1 && p.Shared == 0 {
			t.Errorf("%s: it has no key", p.Name)
		}
	}
	var out bytes.Buffer
	if err := r.WriteTable(&out); err != nil || !strings.Contains(out.String(), "redis killed") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// The check of answers finds what it is for.
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

func TestParseReal(t *testing.T) {
	for args, want := range map[string]string{
		"extra":          `unexpected argument "extra"`,
		"-processes 0":   "processes are 0",
		"-processes 100": "processes are 100",
		"-phase 0":       "phase and writes",
		"-ttl 0":         "ttl is 0",
		"-products 0":    "products are 0",
	} {
		err := Command(t.Context(), append([]string{"real"}, strings.Fields(args)...), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
}
