package fleet

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"extra":                            `unexpected argument "extra"`,
		"-rate 0":                          "-rate is 0",
		"-rate NaN":                        "-rate is NaN",
		"-arrivals often":                  `-arrivals is "often"`,
		"-routing none":                    `-routing is "none"`,
		"-containers 0":                    "-containers is 0: it must be from 1 to",
		"-products 0":                      "-products is 0",
		"-products 100000 -tenants 100000": "too many",
		"-skew -1":                         "-skew is -1",
		"-entries 0":                       "-entries is 0",
		"-jitter 1":                        "-jitter is 1",
		"-for 0":                           "-for is 0s",
		"-ttl -1s":                         "-ttl is -1s",
		"-idle-max -1s":                    "-idle-max is -1s",
		"-db-median -1s":                   "-db-median is -1s",
		"-db-p99 1ms":                      "-db-p99 is 1ms: it must be from 0.003",
		"-only fast":                       "the variants are plain, jitter, tier",
		"-only (":                          "missing closing )",
		"-nonsense":                        "-nonsense",
	} {
		if _, err := parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
	s, err := parse([]string{"-only", "^(lease|plain)$", "-arrivals", "constant"})
	if err != nil || len(s.variants) != 2 || s.variants[1].Name != "lease" || s.Arrivals != Constant {
		t.Errorf("%+v, %v", s, err)
	}
}

// Every number and time of a Config has a flag, and each option has bounds that the
// default keeps.
func TestEveryFieldHasAnOption(t *testing.T) {
	c := Default()
	if n := len(c.options()); n != 19+2*4 {
		t.Errorf("%d options", n)
	}
	for _, o := range c.options() {
		if err := o.check(); err != nil || o.usage == "" {
			t.Errorf("%s: %v", o.name, err)
		}
	}
}

// The whole command, with its tables and its JSON.
func TestCommand(t *testing.T) {
	defer func(n int) { sweepRequests = n }(sweepRequests)
	sweepRequests = 200
	file := filepath.Join(t.TempDir(), "r.json")
	args := "-for 1m -containers 5 -ttl 10s -only ^plain|lease.jitter -json " + file
	var out bytes.Buffer
	if err := Command(t.Context(), strings.Fields(args), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plain", "lease+jitter", "TTL 1h0m0s", "all cold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables have no %q:\n%s", want, &out)
		}
	}
	checkJSON(t, file)
}

func checkJSON(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Kind != "fleet" || len(r.Results) != 2 || r.Results[1].Variant != "lease+jitter" || r.Results[0].Requests == 0 {
		t.Errorf("results: %+v", r.Results)
	}
	if len(r.Rates) != len(sweepRates)*len(sweepTTLs) || r.Rates[len(r.Rates)-1].HitRatio < 0.5 {
		t.Errorf("rates: %+v", r.Rates)
	}
	plain := r.Stampede.Results[0]
	cold, deployment, echo := r.Stampede.Waves(plain)
	if len(plain.Timeline) == 0 || cold == 0 || deployment == 0 || echo == 0 {
		t.Errorf("stampede: %d, %d, %d", cold, deployment, echo)
	}
}
