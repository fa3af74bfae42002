package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	pragmas = "_pragma=busy_timeout(600000)&_pragma=synchronous(OFF)&_pragma=journal_mode(WAL)&_txlock=immediate" // for slow disks
	os.Unsetenv("WARMCACHE")
	os.Unsetenv("ORIGIN_TOLL")
	voteIfChild()
	goleak.VerifyTestMain(m)
}

// container is one of several that accept votes for the same ballot.
type container struct {
	*service
	asked       atomic.Int64           // number of loads of a result
	afterResult atomic.Pointer[func()] // runs after the database has answered and before the load returns
}

// spy counts and delays the queries of a ballot.
type spy struct {
	ballot
	by *container
}

func (s spy) result(ctx context.Context, tenant string) (map[string]int64, error) {
	votes, err := s.ballot.result(ctx, tenant)
	s.by.asked.Add(1)
	if f := s.by.afterResult.Load(); f != nil {
		(*f)()
	}
	return votes, err
}

func newContainer(votes ballot) *container {
	c := &container{}
	c.service = newService(spy{votes, c})
	return c
}

func databaseIn(dir string) string { return filepath.Join(dir, "votes of a?b%20.db") } // a name that would break an unescaped URI

// open connects to the database in a directory, as each container does.
func open(t *testing.T, dir string) database {
	t.Helper()
	d, err := openDatabase(databaseIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.db.Close() })
	return d
}

// do answers in and fails the test on an error. It is safe for concurrent use.
func (c *container) do(t *testing.T, in In) map[string]int64 {
	t.Helper()
	out, err := c.handle(t.Context(), in)
	if err != nil || out.Tenant != in.Tenant {
		t.Errorf("%+v: %+v, %v", in, out, err)
	}
	return out.Votes
}

func (c *container) vote(t *testing.T, tenant, voter, choice string) {
	t.Helper()
	c.do(t, In{tenant, "vote", voter, choice})
}

// want checks the result.
func (c *container) want(t *testing.T, when, tenant string, want map[string]int64) {
	t.Helper()
	if got := c.do(t, In{Tenant: tenant, Do: "result"}); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, want %v", when, got, want)
	}
}

// The votes of the file's tests, with the database: none is lost.
func TestDatabaseOfTwoContainers(t *testing.T) {
	dir := t.TempDir()
	a, b := newContainer(open(t, dir)), newContainer(open(t, dir))
	a.vote(t, "blue", "ann", "lamp")
	b.vote(t, "blue", "bob", "lamp")
	b.want(t, "container b", "blue", map[string]int64{"lamp": 2})
	newContainer(open(t, dir)).want(t, "the next container", "blue", map[string]int64{"lamp": 2})
}

func TestDatabaseOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	c := newContainer(open(t, dir))
	both := []*process{start(t, "sql", dir, "ann"), start(t, "sql", dir, "bob")}
	for _, p := range both {
		p.waitFor(t, "open")
	}
	for _, p := range both { // both at the same time
		p.goOn(t)
	}
	for _, p := range both {
		p.finish(t)
	}
	c.want(t, "after two votes", "blue", map[string]int64{"lamp": 2})
}

func TestDatabaseOfManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	containers := []*container{newContainer(open(t, dir)), newContainer(open(t, dir))}
	var votes sync.WaitGroup
	for i := range 8 {
		tenant, choice := []string{"blue", "green"}[i%2], []string{"lamp", "chair"}[i/2%2]
		votes.Go(func() {
			for v := range 10 {
				containers[v%2].vote(t, tenant, fmt.Sprint("voter ", i, v), choice)
			}
		})
	}
	votes.Wait()
	for _, tenant := range []string{"blue", "green"} {
		newContainer(open(t, dir)).want(t, "after 40 votes", tenant, map[string]int64{"lamp": 20, "chair": 20})
	}
}

// Hosts repeat events and drivers repeat statements. Each voter has one vote.
func TestVoteTwice(t *testing.T) {
	c := newContainer(open(t, t.TempDir()))
	c.vote(t, "blue", "ann", "lamp")
	c.vote(t, "blue", "ann", "lamp")
	c.vote(t, "blue", "bob", "lamp")
	c.vote(t, "blue", "bob", "chair")
	c.vote(t, "green", "ann", "sofa")
	c.want(t, "two voters", "blue", map[string]int64{"lamp": 1, "chair": 1})
}

func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	play := func(cold bool) string {
		d := open(t, t.TempDir())
		c := newContainer(d)
		var answers strings.Builder
		for _, in := range []In{
			{"blue", "result", "", ""}, {"blue", "vote", "ann", "lamp"}, {"green", "vote", "ann", "sofa"}, {"blue", "result", "", ""},
			{"green", "result", "", ""}, {"blue", "result", "", ""}, {"blue", "vote", "bob", "lamp"}, {"blue", "result", "", ""},
			{"blue", "vote", "ann", "chair"}, {"blue", "result", "", ""}, {"green", "result", "", ""}, {"blue", "lose", "", ""},
			{"blue", "vote", "x' --", "' --"}, {"blue", "result", "", ""}, {"red", "result", "", ""},
		} {
			if cold {
				c = newContainer(d)
			}
			out, err := c.handle(t.Context(), in)
			fmt.Fprintf(&answers, "%+v, %v\n", out, err)
		}
		return answers.String()
	}
	t.Setenv("WARMCACHE", "off")
	want := play(false)
	t.Setenv("WARMCACHE", "")
	for _, cold := range []bool{true, false} {
		if got := play(cold); got != want {
			t.Errorf("cold %v:\n%s\nwithout the cache:\n%s", cold, got, want)
		}
	}
}

func TestSecondResultAsksNothing(t *testing.T) {
	for setting, want := range map[string]int64{"": 1, "off": 3} {
		t.Setenv("WARMCACHE", setting)
		synctest.Test(t, func(t *testing.T) {
			c := newContainer(open(t, t.TempDir()))
			for range 3 {
				c.want(t, "before any vote", "blue", map[string]int64{})
			}
			if got := c.asked.Load(); got != want {
				t.Errorf("WARMCACHE=%s: %d queries for three results, want %d", setting, got, want)
			}
		})
	}
}

// A vote shows in its own container at once, and in others within maxAge.
func TestVoteInAnotherContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := newContainer(open(t, dir)), newContainer(open(t, dir))
		none, one := map[string]int64{}, map[string]int64{"lamp": 1}
		a.want(t, "before", "blue", none)
		b.want(t, "before", "blue", none)
		a.vote(t, "blue", "ann", "lamp")
		a.want(t, "where the vote was made", "blue", one)
		time.Sleep(maxAge - 1)
		b.want(t, "elsewhere", "blue", none)
		time.Sleep(time.Nanosecond)
		b.want(t, "elsewhere, later", "blue", one)
	})
}

// The database has read a result when a vote arrives, and the load has not returned
// yet. Its caller gets that result, but it is not cached.
func TestVoteDuringAResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer(open(t, t.TempDir()))
		answered, proceed := make(chan bool), make(chan bool)
		hold := func() {
			answered <- true
			select {
			case <-proceed:
			case <-time.After(10 * time.Second): // a caller after the vote joined the load from before
				t.Error("a result requested after the vote waits for a load from before it")
			}
		}
		c.afterResult.Store(&hold)
		var before sync.WaitGroup
		before.Go(func() { c.want(t, "asked before the vote", "blue", map[string]int64{}) })
		<-answered
		c.afterResult.Store(nil)
		c.vote(t, "blue", "ann", "lamp")
		close(proceed)
		before.Wait()
		c.want(t, "after the vote", "blue", map[string]int64{"lamp": 1})
	})
}

func TestConcurrentInvocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer(open(t, t.TempDir()))
		c.vote(t, "blue", "ann", "lamp")
		c.vote(t, "green", "bob", "sofa")
		asked := c.asked.Load()
		var invocations sync.WaitGroup
		for i := range 8 {
			tenant := []string{"blue", "green"}[i%2]
			want := map[string]map[string]int64{"blue": {"lamp": 1}, "green": {"sofa": 1}}[tenant]
			invocations.Go(func() {
				for range 50 {
					c.want(t, "all the time", tenant, want)
				}
			})
		}
		invocations.Wait()
		if c.asked.Load() != asked {
			t.Error("a cached result was loaded again")
		}
	})
}

// A caller may change its answer without affecting others.
func TestResultsAreNotShared(t *testing.T) {
	c := newContainer(open(t, t.TempDir()))
	for range 3 {
		votes := c.do(t, In{Tenant: "blue", Do: "result"})
		if len(votes) != 0 {
			t.Errorf("%v", votes)
		}
		votes["lamp"] = 1
	}
}

func TestErrorOfTheDatabaseIsNotKept(t *testing.T) {
	c := newContainer(open(t, t.TempDir()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, in := range []In{{Tenant: "blue", Do: "result"}, {"blue", "vote", "ann", "lamp"}} {
		if _, err := c.handle(ctx, in); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error = %v, want context.Canceled", in.Do, err)
		}
	}
	c.want(t, "later", "blue", map[string]int64{})
}

// The tenant of the host overrides the one in the event.
func TestTenantOfTheHost(t *testing.T) {
	c := newContainer(open(t, t.TempDir()))
	c.vote(t, "green", "ann", "lamp")
	for _, test := range []struct {
		host, event string
		want        int
	}{{"", "blue", 0}, {"green", "", 1}, {"green", "blue", 1}} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: test.host})
		out, err := c.handleFor(ctx, In{Tenant: test.event, Do: "result"})
		if err != nil || len(out.Votes) != test.want {
			t.Errorf("host %q, event %q: %+v, %v", test.host, test.event, out, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	c := newContainer(open(t, t.TempDir()))
	long := strings.Repeat("x", maxName+1)
	for _, test := range []struct {
		in   In
		want string
	}{
		{In{"", "result", "", ""}, "no tenant"},
		{In{"blue", "", "", ""}, `do is ""`},
		{In{"blue", "vote", "", "lamp"}, "a voter and a choice"},
		{In{"blue", "vote", "ann", ""}, "a voter and a choice"},
		{In{long, "result", "", ""}, "longer than 200"},
		{In{"blue", "vote", long, "lamp"}, "longer than 200"},
		{In{"blue", "vote", "ann", long}, "longer than 200"},
	} {
		if _, err := c.handle(t.Context(), test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error = %v, want it to say %q", test.in, err, test.want)
		}
	}
	if c.asked.Load() != 0 {
		t.Error("the database was queried")
	}
	if _, err := openDatabase(""); err == nil || !strings.Contains(err.Error(), "VOTES_DB is not set") {
		t.Errorf("error = %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing", "votes.db")
	if _, err := openDatabase(missing); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v", err)
	}
}

// Two votes in two containers, with the file and with the database.
func Example() {
	ballots := func(kind string) (a, b ballot, end func()) {
		dirs := []string{}
		for range 2 {
			dir, err := os.MkdirTemp("", "dbjson")
			if err != nil {
				panic(err)
			}
			dirs = append(dirs, dir)
		}
		removeAll := func() { os.RemoveAll(dirs[0]); os.RemoveAll(dirs[1]) }
		if kind == "db.json" {
			return newJSONFile(dirs[0]), newJSONFile(dirs[1]), removeAll
		}
		d, err := openDatabase(databaseIn(dirs[0])) // shared by both containers
		if err != nil {
			panic(err)
		}
		return d, d, func() { d.db.Close(); removeAll() }
	}
	for _, kind := range []string{"db.json", "database"} {
		a, b, end := ballots(kind)
		one, other := newService(a), newService(b)
		for voter, s := range map[string]*service{"ann": one, "bob": other} {
			if _, err := s.handle(context.Background(), In{"blue", "vote", voter, "lamp"}); err != nil {
				fmt.Println(err)
			}
		}
		out, err := newService(b).handle(context.Background(), In{Tenant: "blue", Do: "result"})
		fmt.Println(kind, out.Votes, err)
		end()
	}
	// Output:
	// db.json map[lamp:1] <nil>
	// database map[lamp:2] <nil>
}
