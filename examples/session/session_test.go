package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
	code := m.Run()
	if err := errors.Join(dynalite.stop(), goleak.Find()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// container is one of several that serve the same sessions.
type container struct {
	*service
	loads     atomic.Int64
	afterLoad atomic.Pointer[func()] // runs after the database has answered and before the load returns
}

// spy counts and delays the queries of a store.
type spy struct {
	Store
	*container
}

func (s spy) Load(ctx context.Context, key Key) (Session, error) {
	found, err := s.Store.Load(ctx, key)
	s.loads.Add(1)
	if f := s.afterLoad.Load(); f != nil {
		(*f)()
	}
	return found, err
}

func newContainer(store Store) *container {
	c := &container{}
	c.service = newService(spy{store, c})
	return c
}

func newSQLite(t testing.TB) Store {
	return mustOpen(t, openSQLite, filepath.Join(t.TempDir(), "sessions.db"))
}

// do answers in and fails the test on an error. It is safe for concurrent use.
func (c *container) do(t *testing.T, in In) Out {
	t.Helper()
	out, err := c.handle(t.Context(), in)
	if err != nil {
		t.Errorf("%s: %v", in.Do, err)
	}
	return out
}

func (c *container) login(t *testing.T, tenant, user string) ID {
	t.Helper()
	return c.do(t, In{Tenant: tenant, Do: "login", User: user}).Session
}

// refuses checks that the container answers with errNoSession.
func (c *container) refuses(t *testing.T, in In) {
	t.Helper()
	out, err := c.handle(t.Context(), in)
	if !errors.Is(err, errNoSession) || !reflect.DeepEqual(out, Out{}) {
		t.Errorf("%s: %+v, %v, want no such session", in.Do, out, err)
	}
}

func request(tenant string, id ID) In { return In{Tenant: tenant, Do: "request", Session: id} }
func logout(tenant string, id ID) In  { return In{Tenant: tenant, Do: "logout", Session: id} }

func update(tenant string, id ID, item string, quantity int64) In {
	return In{Tenant: tenant, Do: "update", Session: id, Item: item, Quantity: quantity}
}

// play runs the events of two sessions and returns all answers. With cold, each
// event meets a new container.
func play(t *testing.T, store Store, cold bool) string {
	t.Helper()
	var answers strings.Builder
	c := newContainer(store)
	instant := time.Unix(1_700_000_000, 0)
	ask := func(in In) Out {
		if cold {
			c = newContainer(store)
		}
		c.now = func() time.Time { return instant }
		out, err := c.handle(t.Context(), in)
		fmt.Fprintf(&answers, "%s %+v, error %v\n", in.Do, out, err)
		return out
	}
	blue := ask(In{Tenant: "blue", Do: "login", User: "ann"}).Session
	green := ask(In{Tenant: "green", Do: "login", User: "ann"}).Session
	for _, in := range []In{
		request("blue", blue), request("green", green), request("blue", blue), request("green", green),
		update("blue", blue, "lamp", 2), request("blue", blue), request("green", green),
		update("blue", blue, "chair", 1), update("blue", blue, "lamp", 0), request("blue", blue),
		update("green", green, "table", 1), request("green", green), request("blue", blue),
		request("green", blue), update("green", blue, "lamp", 1), logout("green", blue), request("blue", blue),
		logout("blue", blue), request("blue", blue), update("blue", blue, "lamp", 1), logout("blue", blue),
		request("green", green), request("red", "nonsense"),
	} {
		ask(in)
	}
	instant = instant.Add(lifetime)
	ask(request("green", green))
	ask(update("green", green, "lamp", 1))
	text := answers.String()
	for _, id := range []ID{blue, green} { // random
		text = strings.ReplaceAll(text, id.String(), "ID")
	}
	return text
}

func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		store := open()
		t.Setenv("WARMCACHE", "off")
		want := play(t, store, false)
		t.Setenv("WARMCACHE", "")
		for _, cold := range []bool{true, false} {
			if got := play(t, store, cold); got != want {
				t.Errorf("cold %v:\n%s\nwithout the cache:\n%s", cold, got, want)
			}
		}
		for _, part := range []string{"chair:1", "table:1", "update {Tenant:blue User:ann", "there is no such session"} {
			if !strings.Contains(want, part) {
				t.Errorf("no %q in\n%s", part, want)
			}
		}
	})
}

func TestSecondRequestAsksNothing(t *testing.T) {
	for _, test := range []struct {
		setting string
		want    int64
	}{{"", 1}, {"off", 3}} {
		t.Setenv("WARMCACHE", test.setting)
		synctest.Test(t, func(t *testing.T) {
			c := newContainer(newSQLite(t))
			id := c.login(t, "blue", "ann")
			for range 3 {
				c.do(t, request("blue", id))
			}
			if got := c.loads.Load(); got != test.want {
				t.Errorf("WARMCACHE=%s: %d questions for three requests, want %d", test.setting, got, test.want)
			}
		})
	}
}

// A logout takes effect at once in its own container. Another container that has
// cached the session accepts it until the end of the grace.
func TestLogoutInAnotherContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSQLite(t)
		a, b := newContainer(store), newContainer(store)
		id := a.login(t, "blue", "ann")
		a.do(t, request("blue", id))
		b.do(t, request("blue", id))
		a.do(t, logout("blue", id))

		a.refuses(t, request("blue", id))
		time.Sleep(grace - 1)
		b.do(t, request("blue", id))
		time.Sleep(time.Nanosecond)
		b.refuses(t, request("blue", id))
		newContainer(store).refuses(t, request("blue", id))
	})
}

// A container that has not cached the session refuses it at once.
func TestLogoutWithoutCache(t *testing.T) {
	t.Setenv("WARMCACHE", "off")
	eachStore(t, func(t *testing.T, open func() Store) {
		a, b := newContainer(open()), newContainer(open())
		id := a.login(t, "blue", "ann")
		b.do(t, request("blue", id))
		a.do(t, logout("blue", id))
		b.refuses(t, request("blue", id))
	})
}

// The database has answered a request when the logout arrives, and the load has not
// returned yet. Only that request gets the session.
func TestLogoutDuringARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newContainer(newSQLite(t))
		id := c.login(t, "blue", "ann")
		answered, proceed := make(chan bool), make(chan bool)
		hold := func() {
			answered <- true
			select {
			case <-proceed:
			case <-time.After(10 * time.Second): // a caller after the logout joined the load from before
				t.Error("a request after the logout waits for a load from before it")
			}
		}
		c.afterLoad.Store(&hold)
		under := make(chan error)
		go func() {
			_, err := c.handle(t.Context(), request("blue", id))
			under <- err
		}()
		<-answered
		c.afterLoad.Store(nil)
		c.do(t, logout("blue", id))
		c.refuses(t, request("blue", id))
		close(proceed)
		if err := <-under; err != nil {
			t.Errorf("the request from before the logout: %v", err)
		}
		c.refuses(t, request("blue", id))
	})
}

// meet makes the first load in each container wait for the other containers.
func meet(containers ...*container) {
	var arrived sync.WaitGroup
	arrived.Add(len(containers))
	for _, c := range containers {
		wait := func() {
			c.afterLoad.Store(nil)
			arrived.Done()
			arrived.Wait()
		}
		c.afterLoad.Store(&wait)
	}
}

// Two updates read the same version. One succeeds, and the other is repeated on top
// of it.
func TestConcurrentUpdates(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		a, b := newContainer(open()), newContainer(open())
		id := a.login(t, "blue", "ann")
		meet(a, b)
		var updates sync.WaitGroup
		updates.Go(func() { a.do(t, update("blue", id, "lamp", 1)) })
		updates.Go(func() { b.do(t, update("blue", id, "chair", 2)) })
		updates.Wait()

		want := map[string]int64{"lamp": 1, "chair": 2}
		for _, c := range []*container{a, b} {
			if out := c.do(t, request("blue", id)); !reflect.DeepEqual(out.Basket, want) || out.Version != 3 {
				t.Errorf("%+v, want %v in version 3", out, want)
			}
		}
		if loads := a.loads.Load() + b.loads.Load(); loads != 2+1+2 {
			t.Errorf("%d questions, want one for each update, one for the loser's second attempt, and one in each container to check", loads)
		}
	})
}

func TestManyConcurrentUpdates(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		c := newContainer(open())
		id := c.login(t, "blue", "ann")
		var updates sync.WaitGroup
		for i := range 8 {
			updates.Go(func() { c.do(t, update("blue", id, fmt.Sprint("item ", i), 1)) })
		}
		updates.Wait()
		if out := c.do(t, request("blue", id)); len(out.Basket) != 8 || out.Version != 9 {
			t.Errorf("%+v, want 8 items in version 9", out)
		}
	})
}

// A session that is logged out between the read and the write of an update stays
// logged out.
func TestUpdateDoesNotBringBackASession(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		a, b := newContainer(open()), newContainer(open())
		id := a.login(t, "blue", "ann")
		between := func() {
			a.afterLoad.Store(nil)
			b.do(t, logout("blue", id))
		}
		a.afterLoad.Store(&between)
		a.refuses(t, update("blue", id, "lamp", 1))
		a.refuses(t, request("blue", id))
	})
}

// stubborn is a store in which another update is always faster.
type stubborn struct {
	Store
	updates *int
}

func (s stubborn) Update(context.Context, Session) error {
	*s.updates++
	return errConflict
}

func TestUpdateGivesUp(t *testing.T) {
	updates := 0
	c := newContainer(stubborn{newSQLite(t), &updates})
	id := c.login(t, "blue", "ann")
	_, err := c.handle(t.Context(), update("blue", id, "lamp", 1))
	if !errors.Is(err, errConflict) || updates != maxAttempts {
		t.Errorf("%v after %d attempts", err, updates)
	}
}

// An update shows in its own container at once, and in the others within the grace.
func TestUpdateInAnotherContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newSQLite(t)
		a, b := newContainer(store), newContainer(store)
		id := a.login(t, "blue", "ann")
		a.do(t, request("blue", id))
		b.do(t, request("blue", id))
		a.do(t, update("blue", id, "lamp", 1))
		wantVersion := func(c *container, want int64) {
			t.Helper()
			if out := c.do(t, request("blue", id)); out.Version != want {
				t.Errorf("version %d, want %d", out.Version, want)
			}
		}
		wantVersion(a, 2)
		time.Sleep(grace - 1)
		wantVersion(b, 1)
		time.Sleep(time.Nanosecond)
		wantVersion(b, 2)
	})
}

// An update starts from the database, because the cached session may be stale.
func TestUpdateStartsFromTheDatabase(t *testing.T) {
	store := newSQLite(t)
	a, b := newContainer(store), newContainer(store)
	id := a.login(t, "blue", "ann")
	a.do(t, request("blue", id))
	b.do(t, update("blue", id, "lamp", 1))
	a.do(t, update("blue", id, "chair", 1))
	if out := a.do(t, request("blue", id)); len(out.Basket) != 2 {
		t.Errorf("%+v, want both", out)
	}
}

// A cached session expires at its own end, before its TTL.
func TestExpiresAlsoFromTheCache(t *testing.T) {
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		synctest.Test(t, func(t *testing.T) {
			c := newContainer(newSQLite(t))
			start := time.Unix(1_700_000_000, 999)
			c.now = func() time.Time { return start }
			id := c.login(t, "blue", "ann")
			c.do(t, request("blue", id))
			loads := c.loads.Load()

			c.now = func() time.Time { return start.Truncate(time.Second).Add(lifetime - 1) }
			c.do(t, request("blue", id))
			c.now = func() time.Time { return start.Truncate(time.Second).Add(lifetime) }
			c.refuses(t, request("blue", id))
			if setting == "" && c.loads.Load() != loads {
				t.Error("the session was loaded again, so this does not test the cache")
			}
			c.refuses(t, update("blue", id, "lamp", 1))
		})
	}
}

func TestTenantsGetTheirOwn(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		c := newContainer(open())
		ids := map[string]ID{"blue": c.login(t, "blue", "ann"), "green": c.login(t, "green", "bob")}
		for range 3 {
			for tenant, user := range map[string]string{"blue": "ann", "green": "bob"} {
				if out := c.do(t, request(tenant, ids[tenant])); out.User != user || out.Tenant != tenant {
					t.Errorf("%+v, want %s of %s", out, user, tenant)
				}
			}
			c.refuses(t, request("blue", ids["green"]))
			c.refuses(t, request("green", ids["blue"]))
		}
	})
}

func TestConcurrentInvocations(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		c := newContainer(open())
		blue, green := c.login(t, "blue", "ann"), c.login(t, "green", "bob")
		var invocations sync.WaitGroup
		for i := range 8 {
			in, user := request("blue", blue), "ann"
			if i%2 == 1 {
				in, user = request("green", green), "bob"
			}
			invocations.Go(func() {
				for range 50 {
					out, err := c.handle(t.Context(), in)
					if err != nil || out.User != user || out.Tenant != in.Tenant {
						t.Errorf("%+v, %v, want %s", out, err, user)
					}
				}
			})
		}
		invocations.Wait()
	})
}

// A caller may change its answer without affecting others.
func TestBasketsAreNotShared(t *testing.T) {
	c := newContainer(newSQLite(t))
	id := c.login(t, "blue", "ann")
	c.do(t, update("blue", id, "lamp", 1))
	for range 3 {
		out := c.do(t, request("blue", id))
		if want := map[string]int64{"lamp": 1}; !reflect.DeepEqual(out.Basket, want) {
			t.Errorf("%v, want %v", out.Basket, want)
		}
		out.Basket["chair"] = 1
	}
}

func TestIDsAreRandom(t *testing.T) {
	seen := map[ID]bool{}
	for range 1000 {
		id := newID()
		if seen[id] || len(id) < 26 {
			t.Fatalf("%d characters, seen before: %v", len(id), seen[id])
		}
		seen[id] = true
	}
}

// Errors and logs never contain a whole ID.
func TestIDsAreSecret(t *testing.T) {
	c := newContainer(newSQLite(t))
	id := c.login(t, "blue", "ann")
	key := Key{"blue", id}
	var out bytes.Buffer
	for _, log := range []*slog.Logger{
		slog.New(slog.NewJSONHandler(&out, nil)),
		slog.New(slog.NewTextHandler(&out, nil)),
	} {
		log.Info("id", "id", id, "key", key)
	}
	fmt.Fprintf(&out, "%v %s %q %+v %#v %v %+v %#v %v\n", id, id, id, id, id, key, key, key, Session{Key: key})

	c.do(t, logout("blue", id))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), ended} {
		for _, in := range []In{request("blue", id), update("blue", id, "lamp", 1), logout("blue", id), request("", id), {Tenant: "blue", Do: "x", Session: id}} {
			_, err := c.handle(ctx, in)
			fmt.Fprintln(&out, err)
		}
	}
	if got := out.String(); strings.Contains(got, string(id[:2*shown])) || strings.Contains(got, string(id[len(id)-2*shown:])) {
		t.Errorf("%s is in\n%s", string(id), got)
	}
	if !strings.Contains(out.String(), id.String()) {
		t.Errorf("no %s in\n%s", id, out.String())
	}
	if b, err := json.Marshal(Out{Session: id}); err != nil || !strings.Contains(string(b), string(id)) {
		t.Errorf("the client gets %s, %v", b, err)
	}
	if short := ID("abcdef"); short.String() != "…" {
		t.Errorf("a short one prints as %s", short)
	}
}

func TestInvalidEvents(t *testing.T) {
	c := newContainer(newSQLite(t))
	long := strings.Repeat("x", maxName+1)
	for _, test := range []struct {
		in   In
		want string
	}{
		{In{Do: "login", User: "ann"}, "no tenant"},
		{In{Tenant: "blue", User: "ann"}, `do is ""`},
		{In{Tenant: "blue", Do: "steal", Session: "x"}, `do is "steal"`},
		{In{Tenant: "blue", Do: "login"}, "no user"},
		{In{Tenant: "blue", Do: "request"}, "no session"},
		{In{Tenant: "blue", Do: "logout"}, "no session"},
		{In{Tenant: "blue", Do: "update", Item: "lamp"}, "no session"},
		{update("blue", "x", "", 1), "no item"},
		{update("blue", "x", "lamp", -1), "quantity is -1"},
		{update("blue", "x", "lamp", maxQuantity+1), "quantity is 10001"},
		{request(long, "x"), "longer than 200"},
		{request("blue", ID(long)), "longer than 200"},
		{In{Tenant: "blue", Do: "login", User: long}, "longer than 200"},
		{update("blue", "x", long, 1), "longer than 200"},
	} {
		if _, err := c.handle(t.Context(), test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error = %v, want it to say %q", test.in, err, test.want)
		}
	}
	if c.loads.Load() != 0 {
		t.Error("the database was queried")
	}
}

func TestBasketIsBounded(t *testing.T) {
	s := Session{Basket: map[string]int64{}}
	for i := range maxItems {
		if err := s.set(fmt.Sprint(i), 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.set("one more", 1); err == nil || len(s.Basket) != maxItems {
		t.Errorf("%v, with %d items", err, len(s.Basket))
	}
	if err := s.set("7", 5); err != nil || s.Basket["7"] != 5 {
		t.Errorf("an existing item: %v, %d", err, s.Basket["7"])
	}
}

// The tenant of the host overrides the one in the event.
func TestTenantOfTheHost(t *testing.T) {
	c := newContainer(newSQLite(t))
	id := c.login(t, "blue", "ann")
	for _, test := range []struct {
		host, event string
		want        error
	}{
		{"", "blue", nil},
		{"blue", "", nil},
		{"blue", "green", nil},
		{"green", "blue", errNoSession},
	} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: test.host})
		if _, err := c.handleFor(ctx, request(test.event, id)); !errors.Is(err, test.want) {
			t.Errorf("host %q, event %q: %v, want %v", test.host, test.event, err, test.want)
		}
	}
}

// One session in one container: the second and third request do not query the
// database.
func Example() {
	dir, err := os.MkdirTemp("", "session")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := openSQLite(filepath.Join(dir, "sessions.db"))
	if err != nil {
		panic(err)
	}
	defer store.(sqlite).db.Close()
	c := newContainer(store)
	ask := func(in In) Out {
		before := c.loads.Load()
		out, err := c.handle(context.Background(), in)
		if errors.Is(err, errNoSession) {
			err = errNoSession // without the random ID
		}
		fmt.Println(in.Do, out.User, out.Basket, err, "questions:", c.loads.Load()-before)
		return out
	}
	id := ask(In{Tenant: "blue", Do: "login", User: "ann"}).Session
	ask(request("blue", id))
	ask(request("blue", id))
	ask(update("blue", id, "lamp", 2))
	ask(request("blue", id))
	ask(request("blue", id))
	ask(logout("blue", id))
	ask(request("blue", id))
	// Output:
	// login ann map[] <nil> questions: 0
	// request ann map[] <nil> questions: 1
	// request ann map[] <nil> questions: 0
	// update ann map[lamp:2] <nil> questions: 1
	// request ann map[lamp:2] <nil> questions: 1
	// request ann map[lamp:2] <nil> questions: 0
	// logout  map[] <nil> questions: 0
	// request  map[] there is no such session questions: 1
}
