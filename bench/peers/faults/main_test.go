package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/internal/compare"
	"github.com/warmcache/warmcache/internal/conditions"
)

var file = flag.String("results", "", "write the outcomes to this `file`, an absolute path")

func TestMain(m *testing.M) {
	serveIfChild()
	os.Exit(m.Run())
}

const legend = `After damage. hit: the right bytes, from the copy. fetched: the right bytes, from the origin. error: no bytes.
stale: the bytes of the version before. hangs: no answer within 5 min. WRONG: other bytes than the origin has, and no error.
-: the case cannot be made here.`

// warmcache returns the right bytes in every case. The others show that the cases
// are real.
func TestMatrix(t *testing.T) {
	set := fmt.Sprintf("objects of %d bytes", objectSize)
	r := compare.Report{Kind: "faults", Conditions: conditions.Here("go test ./bench/peers/faults -count=1 -v -args -results $PWD/bench/results/faults.json", nil, set)}
	r.Conditions.Libraries = versions(t, "github.com/peterbourgon/diskv/v3", "github.com/gregjones/httpcache", "github.com/djherbis/fscache", "github.com/rogpeppe/go-internal")
	for _, p := range peers() {
		r.Notes = append(r.Notes, compare.Note{Name: p.name, Text: p.note})
	}
	wrongs := map[string]int{}
	for _, c := range cases {
		r.Measures = append(r.Measures, compare.Measure{Name: c.name, Title: c.name, Matrix: legend})
		for _, p := range peers() {
			cell := r.Cell(c.name, p.name)
			cell.Outcome, cell.Note = try(t.TempDir(), c, p)
			switch o := cell.Outcome; {
			case o == skipped && os.Geteuid() == 0 && p.name == "warmcache":
				t.Errorf("%s could not be made: %s", c.name, cell.Note)
			case o == skipped:
				t.Logf("%s, %s: %s", c.name, p.name, cell.Note)
			case o == wrong:
				wrongs[p.name]++
			case p.name == "warmcache" && o != hit && o != fetched, c.name == "nothing happens" && o != hit:
				t.Errorf("%s: %s: %s %s", c.name, p.name, o, cell.Note)
			}
		}
	}
	if wrongs["warmcache"] > 0 {
		t.Errorf("warmcache returned wrong bytes in %d cases", wrongs["warmcache"])
	}
	for _, name := range []string{"by hand", "diskv", "fscache", "httpcache"} {
		if wrongs[name] == 0 {
			t.Errorf("%s never returns wrong bytes: the damage is not done", name)
		}
	}
	r.Conditions.LoadAfter = conditions.LoadAverage()
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Log(table.String())
	if err := compare.WriteJSON(*file, r); err != nil {
		t.Fatal(err)
	}
}

// versions returns the versions of modules, which a test binary does not contain.
func versions(t *testing.T, modules ...string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}}"}, modules...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		v[path] = version
	}
	return v
}
