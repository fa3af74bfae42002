package fleet

import (
	"bytes"
	"encoding/json"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for args, want := range map[string]string{
		"extra":                            `unexpected argument "extra"`,
		"-rate 0":                          "rate is 0",
		"-rate NaN":                        "rate is NaN",
		"-arrivals often":                  `arrivals are "often"`,
		"-routing none":                    `routing is "none"`,
		"-containers 0":                    "containers are 0",
		"-products 0":                      "products are 0",
		"-products 100000 -tenants 100000": "not too many",
		"-skew -1":                         "skew is -1",
		"-entries 0":                       "entries are 0",
		"-jitter 1":                        "jitter is 1",
		"-for 0":                           "for is 0s",
		"-ttl -1s":                         "ttl is -1s",
		"-idle-max -1s":                    "idle max is -1s",
		"-db-p99 1ms":                      "database takes 3ms in the median and 1ms at p99",
		"-arrivals bursty -burst 0":        "burst is 0",
		"-arrivals diurnal -diurnal 2":     "diurnal is 2",
		"-variants plain,fast":             `no variant "fast"`,
		"-nonsense":                        "-nonsense",
	} {
		if _, err := parse(strings.Fields(args), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", args, err, want)
		}
	}
	s, err := parse([]string{"-variants", "lease,plain", "-arrivals", "diurnal"}, &bytes.Buffer{})
	if err != nil || len(s.variants) != 2 || s.variants[0].Name != "lease" || s.Arrivals != Diurnal {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestHelp(t *testing.T) {
	var out bytes.Buffer
	if err := Command(t.Context(), []string{"-h"}, &out); err != nil || !strings.Contains(out.String(), "-containers") {
		t.Errorf("%v\n%s", err, &out)
	}
}

// The whole command, with its tables, JSON and plots, all of which have what they
// should.
func TestCommand(t *testing.T) {
	defer func(n int) { sweepRequests = n }(sweepRequests)
	sweepRequests = 200
	dir := t.TempDir()
	file, plots := filepath.Join(dir, "r.json"), filepath.Join(dir, "plots")
	args := "-for 1m -containers 5 -ttl 10s -variants plain,lease+jitter -json " + file + " -plots " + plots
	var out bytes.Buffer
	if err := Command(t.Context(), strings.Fields(args), &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plain", "lease+jitter", "no cache", "TTL 1h0m0s", "all cold"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the tables have no %q:\n%s", want, &out)
		}
	}
	checkJSON(t, file)
	for _, name := range []string{"fleet-hits", "fleet-stampede", "fleet-age"} {
		svg, err := os.ReadFile(filepath.Join(plots, name+".svg"))
		if err != nil || !bytes.Contains(svg, []byte("</svg>")) {
			t.Errorf("%s.svg: %v", name, err)
		}
		b, err := os.ReadFile(filepath.Join(plots, name+".png"))
		if err != nil {
			t.Fatal(err)
		}
		if img, err := png.Decode(bytes.NewReader(b)); err != nil || img.Bounds().Dx() < 500 {
			t.Errorf("%s.png: %v", name, err)
		}
	}
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
	if len(r.Results) != 2 || r.Results[1].Variant != "lease+jitter" || r.Results[0].Requests == 0 || len(r.Results[0].AgeCDF) != 101 {
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
