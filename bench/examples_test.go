package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/bench/run"
	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
	"github.com/warmcache/warmcache/examples/checks/checktest"
	"github.com/warmcache/warmcache/examples/model/table"
)

// subject is an example with its origins, to run on the hosts.
type subject struct {
	binary string
	env    []string
	events []string // of two tenants if the example has tenants; some of them fail
	slow   *valve   // between the action and its origin
}

// subjects are the examples that have a cold and a warm side, each with its
// origins. All files that they read are in dir, which is also visible to an action
// with its own /tmp.
// /tmp of its own sees too.
var subjects = map[string]func(t *testing.T, dir string, o *origins) subject{
	"catalog":               catalogSubject,
	"catalog on PostgreSQL": postgresSubject,
	"checks":                checksSubject,
	"checks on CouchDB":     couchSubject,
	"model":                 modelSubject,
	"rules":                 rulesSubject,
}

// again are slow subjects, and subjects that differ from another one only in the
// database. One test runs them; the others would gain nothing.
var again = []string{"checks on CouchDB"}

// forEachExample runs a test with every example except the excluded ones. Their
// files are not in /tmp, because an action with its own /tmp would not see them.
func forEachExample(t *testing.T, leftOut []string, test func(t *testing.T, s subject)) {
	for _, name := range slices.Sorted(maps.Keys(subjects)) {
		if slices.Contains(leftOut, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", "/var/tmp")
			dir := t.TempDir()
			o, err := startOrigins(t.Context(), dir, run.Latencies{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { o.Close() })
			test(t, subjects[name](t, dir, o))
		})
	}
}

func catalogSubject(t *testing.T, dir string, o *origins) subject {
	file := filepath.Join(dir, "shops.db")
	execute(t, "sqlite", file, "catalog/testdata/catalog.sql")
	return newCatalogSubject(t, dir, o, "CATALOG_DB="+file)
}

func postgresSubject(t *testing.T, dir string, o *origins) subject {
	server, err := postgrestest.Start()
	if errors.Is(err, postgrestest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs a PostgreSQL server: run .ci/install/postgresql")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	execute(t, "pgx", server.URL(), "catalog/testdata/catalog.sql")
	return newCatalogSubject(t, dir, o, "DATABASE_URL="+server.URL())
}

// execute creates the database as the example's README describes.
func execute(t *testing.T, driver, source, script string) {
	t.Helper()
	examples, err := checkout.Examples()
	if err != nil {
		t.Fatal(err)
	}
	statements, err := os.ReadFile(filepath.Join(examples, filepath.FromSlash(script)))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), string(statements)); err != nil {
		t.Fatal(err)
	}
}

func newCatalogSubject(t *testing.T, dir string, o *origins, database string) subject {
	v := newValve(t, o.latencyProxy)
	return subject{
		binary: buildExample(t, "catalog"),
		env:    []string{database, "ORIGIN_TOLL=" + v.addr()},
		slow:   v,
		events: []string{ // tenants alternate, and modify the values that they get
			`{"tenant":"blue","sku":"lamp","quantity":2}`,
			`{"tenant":"green","sku":"lamp","quantity":2}`,
			`{"tenant":"blue","page":1,"in_stock":true}`,
			`{"tenant":"green","page":1,"in_stock":true}`,
			`{"tenant":"blue","page":1}`,
			`{"tenant":"green","page":1}`,
			`{"tenant":"blue","sku":"table","quantity":1}`,
			`{"tenant":"green","sku":"table","quantity":1}`,
			`{"tenant":"blue","page":-1}`,
		},
	}
}

func modelSubject(t *testing.T, dir string, o *origins) subject {
	v := newValve(t, strings.TrimPrefix(o.Gate.URL(), "http://"))
	some := fmt.Sprintf(`"ids":[%d,%d,7]`, table.ID(5), table.ID(modelRecords-1))
	return subject{
		binary: buildExample(t, "model"),
		env: append(o.S3.Env("http://"+v.addr()), "S3_PATH_STYLE=1", "MODEL_BUCKET="+modelBucket, "MODEL_KEY="+modelKey,
			"MODEL_LOOKUP="+buildExample(t, "model/lookup")),
		slow:   v,
		events: []string{`{` + some + `}`, `{` + some + `,"program":true}`, `{"ids":[]}`},
	}
}

func checksSubject(t *testing.T, dir string, o *origins) subject {
	file := filepath.Join(dir, "checks.db")
	execute(t, "sqlite", file, "checks/testdata/checks.sql")
	return newChecksSubject(t, dir, o, "CHECKS_DB="+file)
}

func couchSubject(t *testing.T, dir string, o *origins) subject {
	server, err := checktest.StartCouch(t.Context())
	if errors.Is(err, checktest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs pouchdb-server: run .ci/install/couchdb")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	if err := server.AddCustomers(t.Context()); err != nil {
		t.Fatal(err)
	}
	return newChecksSubject(t, dir, o, "COUCHDB_URL="+server.URL())
}

func newChecksSubject(t *testing.T, dir string, o *origins, database string) subject {
	data, err := checktest.TrainedData()
	if errors.Is(err, checktest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs tesseract with its English data: run .ci/install/tesseract")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, bucket := range []string{"north-bank", "south-bank", "tessdata", "copies"} {
		if err := o.S3.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	for object, b := range map[[2]string][]byte{
		{"north-bank", "ada.png"}:       checktest.Check("40817263", "1,234.56"),
		{"south-bank", "charles.png"}:   checktest.Check("40817263", "8,000.00"),
		{"north-bank", "noise.png"}:     checktest.Noise(),
		{"tessdata", "eng.traineddata"}: data,
	} {
		if err := o.S3.Put(t.Context(), object[0], object[1], b); err != nil {
			t.Fatal(err)
		}
	}
	v := newValve(t, strings.TrimPrefix(o.Gate.URL(), "http://"))
	return subject{
		binary: buildExample(t, "checks"),
		env: append(o.S3.Env("http://"+v.addr()), "S3_PATH_STYLE=1", database,
			"TESSDATA_BUCKET=tessdata", "TESSDATA_KEY=eng.traineddata", "COPIES_BUCKET=copies"),
		slow: v,
		events: []string{ // the answer after a readable check must contain nothing of it
			`{"bucket":"north-bank","key":"ada.png"}`,
			`{"bucket":"south-bank","key":"charles.png"}`,
			`{"bucket":"north-bank","key":"noise.png"}`,
			`{"bucket":"north-bank","key":"none.png"}`,
			`{"bucket":"north-bank"}`,
		},
	}
}

// buildExample builds a program of the examples once for all tests, because
// building takes longer than most of them.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	once, _ := built.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		dir := filepath.Join(programs, name)
		return filepath.Join(dir, filepath.Base(name)), errors.Join(os.MkdirAll(dir, 0o755), checkout.Build(context.Background(), dir, name))
	}))
	program, err := once.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var (
	programs string   // created and removed by TestMain
	built    sync.Map // functions that build a program in programs, by its name
)

func (s subject) lambda(env ...string) host.Lambda {
	return host.Lambda{Binary: s.binary, Env: append(slices.Clone(s.env), env...), Timeout: 10 * time.Minute, InitTimeout: 5 * time.Minute, MemoryMB: 512}
}

func (s subject) openWhisk(env ...string) host.OpenWhisk {
	return host.OpenWhisk{Binary: s.binary, Env: append(slices.Clone(s.env), env...), Timeout: 10 * time.Minute}
}

// sandboxes start a function on each host.
func (s subject) sandboxes(t *testing.T, env ...string) map[string]host.Sandbox {
	t.Helper()
	e, err := s.lambda(env...).Environment()
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.openWhisk(env...).Container()
	if err != nil {
		t.Fatal(err)
	}
	both := map[string]host.Sandbox{"lambda": e, "openwhisk": c}
	for _, sandbox := range both {
		t.Cleanup(func() { sandbox.Close() })
	}
	return both
}

// answer returns the function's answer to an event, which may be an error.
func answer(t *testing.T, s host.Sandbox, event string) (string, host.Result) {
	t.Helper()
	res, err := s.Invoke(t.Context(), []byte(event))
	if err != nil {
		t.Fatalf("%s: %v", event, err)
	}
	if res.FunctionError != nil {
		return "error: " + res.FunctionError.Message, res
	}
	return string(res.Payload), res
}

// plainAnswers returns the answers without the library, which must be the same on
// all hosts.
func (s subject) plainAnswers(t *testing.T) (answers []string) {
	t.Helper()
	both := s.sandboxes(t, "WARMCACHE=off")
	for _, event := range s.events {
		got, _ := answer(t, both["lambda"], event)
		if other, _ := answer(t, both["openwhisk"], event); other != got {
			t.Errorf("%s:\nLambda    %s\nOpenWhisk %s", event, got, other)
		}
		answers = append(answers, got)
	}
	return answers
}

// expect invokes the function with each event twice and checks the answers.
func (s subject) expect(t *testing.T, sandbox host.Sandbox, what string, want []string) {
	t.Helper()
	for range 2 {
		for i, event := range s.events {
			if got, _ := answer(t, sandbox, event); got != want[i] {
				t.Errorf("%s: event %s:\n got %s\nwant %s", what, event, got, want[i])
			}
		}
	}
}

// The library changes no answer, on either host and in any state of a container.
func TestExamplesGiveTheSameAnswers(t *testing.T) {
	needsUnix(t)
	forEachExample(t, nil, func(t *testing.T, s subject) {
		want := s.plainAnswers(t)
		for name, sandbox := range s.sandboxes(t) {
			s.expect(t, sandbox, name+", cold and warm", want)
			if err := sandbox.Freeze(); !errors.Is(err, errors.ErrUnsupported) && err != nil {
				t.Fatal(err)
			}
			s.expect(t, sandbox, name+", thawed", want)
			sandbox.Crash()
			s.expect(t, sandbox, name+", after a crash", want)
		}
	})
}

func TestExamplesAtConcurrency8(t *testing.T) {
	needsUnix(t)
	forEachExample(t, again, func(t *testing.T, s subject) {
		want := s.plainAnswers(t)
		l := s.lambda()
		l.Concurrency = 8
		env, err := l.Environment()
		if err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		var callers sync.WaitGroup
		for caller := range 8 {
			callers.Go(func() {
				for i := range s.events {
					n := (caller + i) % len(s.events) // some callers wait for the loads of others
					res, err := env.Invoke(t.Context(), []byte(s.events[n]))
					if err != nil {
						t.Error(err)
						return
					}
					got := string(res.Payload)
					if res.FunctionError != nil {
						got = "error: " + res.FunctionError.Message
					}
					if got != want[n] {
						t.Errorf("%s:\n got %s\nwant %s", s.events[n], got, want[n])
					}
				}
			})
		}
		callers.Wait()
	})
}

// An action on OpenWhisk has no HOME and no PATH.
func TestExamplesWithoutAnEnvironment(t *testing.T) {
	needsUnix(t)
	forEachExample(t, again, func(t *testing.T, s subject) {
		c, err := s.openWhisk().Container()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s.expect(t, c, "without an environment", s.plainAnswers(t))
	})
}

// As on Managed Instances, an invocation that times out is answered while its code
// runs on. The late result of its load is not returned to another invocation, and
// no invocation waits for it.
func TestExamplesTimedOutHandlerPoisonsNothing(t *testing.T) {
	needsUnix(t)
	forEachExample(t, again, func(t *testing.T, s subject) {
		want := s.plainAnswers(t)
		l := s.lambda()
		l.Concurrency, l.Timeout = 2, 4*time.Second
		env, err := l.Environment()
		if err != nil {
			t.Fatal(err)
		}
		defer env.Close()
		s.slow.shut()
		var late sync.WaitGroup
		for range l.Concurrency {
			late.Go(func() {
				res, err := env.Invoke(t.Context(), []byte(s.events[0]))
				if err != nil || res.FunctionError == nil || res.Died {
					t.Errorf("an invocation without its origin: %+v, %v", res, err)
				}
			})
		}
		late.Wait()
		// Both places are occupied until the code of one returns. This event needs
		// no origin.
		patient := repeating{env}
		_, first := answer(t, patient, s.events[len(s.events)-1])
		s.slow.open()
		s.expect(t, patient, "after a time-out", want)
		if _, last := answer(t, patient, s.events[0]); last.Pid != first.Pid {
			t.Error("the event went to another process")
		}
	})
}

// repeating sends an event again if it timed out, for minutes: a busy machine may take
// longer than the limit that a test needs.
type repeating struct{ host.Sandbox }

func (r repeating) Invoke(ctx context.Context, event []byte) (res host.Result, err error) {
	for end := time.Now().Add(5 * time.Minute); ; {
		res, err = r.Sandbox.Invoke(ctx, event)
		if err != nil || res.FunctionError == nil || res.FunctionError.Type != host.ErrorTimeout || time.Now().After(end) {
			return res, err
		}
	}
}

// The tenant of the host overrides that of the event on Lambda, which isolates
// tenants. On OpenWhisk it is used if the event has none. Two tenants alternate in
// one environment.
func TestTenantOfTheHost(t *testing.T) {
	needsUnix(t)
	t.Setenv("TMPDIR", "/var/tmp")
	dir := t.TempDir()
	o, err := startOrigins(t.Context(), dir, run.Latencies{})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	s := catalogSubject(t, dir, o)
	env, err := s.lambda().Environment()
	if err != nil {
		t.Fatal(err)
	}
	defer env.Close()
	const event = `{"tenant":"blue","sku":"lamp","quantity":1}`
	for range 2 {
		for tenant, want := range map[string]string{"": "Blue lamp", "blue": "Blue lamp", "green": "Green lamp"} {
			res, err := env.Do(t.Context(), host.Request{Event: []byte(event), TenantID: tenant})
			if err != nil || !strings.Contains(string(res.Payload), want) {
				t.Errorf("Lambda, tenant %q: %s, %v, want %s", tenant, res.Payload, err, want)
			}
		}
	}
	w := s.openWhisk()
	w.Namespace = "green"
	c, err := w.Container()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 2 {
		for event, want := range map[string]string{event: "Blue lamp", `{"sku":"lamp","quantity":1}`: "Green lamp"} {
			if got, _ := answer(t, c, event); !strings.Contains(got, want) {
				t.Errorf("OpenWhisk, %s: %s, want %s", event, got, want)
			}
		}
	}
}

func needsUnix(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("actions of OpenWhisk need Unix")
	}
}
