package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll/tolltest"
)

//go:embed testdata/catalog.sql
var catalogSQL string

// gate counts the statements that reach the database.
var gate *tolltest.Gate

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "catalog")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gate = tolltest.New()
	os.Unsetenv("WARMCACHE")
	os.Unsetenv("DATABASE_URL")
	os.Setenv("ORIGIN_TOLL", gate.Addr())
	os.Setenv("CATALOG_DB", filepath.Join(dir, "catalog of a?b%20.db")) // a name that would break an unescaped URI
	if err := write(catalogSQL); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if db, err := database(); err == nil {
		db.Close()
	}
	gate.Close()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// write changes the database, as another program would.
func write(statements string) error {
	db, err := sql.Open("sqlite", uri(os.Getenv("CATALOG_DB"), "rwc"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statements)
	return err
}

// newContainer clears the caches that earlier tests filled.
func newContainer(t *testing.T) {
	t.Helper()
	products.Clear()
	pages.Clear()
}

// ask returns the answer to in and the number of statements that it took.
func ask(t *testing.T, in In) (Quote, int) {
	t.Helper()
	before := gate.Count()
	out, err := handle(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out.(Quote), gate.Count() - before
}

// describe encodes an answer as JSON, so that two answers can be compared.
func describe(out any, err error) string {
	b, _ := json.Marshal(out)
	return fmt.Sprintf("%s, error %v", b, err)
}

// buy is an event that requests a price.
func buy(tenant, sku string, quantity int64) In {
	return In{Tenant: tenant, SKU: sku, Quantity: quantity}
}

var (
	blueLamp = Quote{
		Tenant: "blue", SKU: "lamp", Name: "Blue lamp", Description: "A lamp of the blue shop",
		Quantity: 3, UnitCents: 1999, TotalCents: 5997, InStock: true,
	}
	greenLamp = Quote{
		Tenant: "green", SKU: "lamp", Name: "Green lamp", Description: "A lamp of the green shop",
		Quantity: 3, UnitCents: 2499, TotalCents: 7497, InStock: true,
	}
)

// Every kind of event.
var everything = []In{
	buy("blue", "lamp", 3),
	buy("green", "lamp", 3),
	buy("blue", "lamp", 10),
	buy("blue", "lamp", 11),
	buy("blue", "table", 1),
	buy("blue", "chair", 1),
	buy("red", "lamp", 1),
	buy("blue", "lamp' OR 1=1 --", 1),
	buy("", "lamp", 1),
	buy("blue", "lamp", 0),
	{Tenant: "blue", Page: 1},
	{Tenant: "blue", Page: 1, InStock: true},
	{Tenant: "blue", Page: 1},
	{Tenant: "green", Page: 1},
	{Tenant: "green", Page: 2},
	{Tenant: "red", Page: 1},
	{Tenant: "blue", Page: -1},
	{Tenant: "blue", SKU: "lamp", Quantity: 3, Order: true},
	{Tenant: "blue", Page: 1, Order: true},
}

func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	newContainer(t)
	for _, in := range everything {
		answer := func() string {
			return describe(handle(t.Context(), in))
		}
		first, again := answer(), answer()
		t.Setenv("WARMCACHE", "off")
		want := answer()
		t.Setenv("WARMCACHE", "")
		if first != want || again != want {
			t.Errorf("%+v:\nwithout cache %s\nfirst         %s\nagain         %s", in, want, first, again)
		}
	}
}

func TestSecondInvocationAsksNothing(t *testing.T) {
	for _, test := range []struct {
		setting string
		want    [2]int // statements
	}{
		{"", [2]int{1, 0}},
		{"off", [2]int{1, 1}},
	} {
		t.Run("WARMCACHE="+test.setting, func(t *testing.T) {
			t.Setenv("WARMCACHE", test.setting)
			newContainer(t)
			for i, want := range test.want {
				out, statements := ask(t, buy("blue", "lamp", 3))
				if out != blueLamp || statements != want {
					t.Errorf("invocation %d: %+v after %d statements, want %+v after %d", i, out, statements, blueLamp, want)
				}
			}
			// Another quantity of the same product is computed from the same row.
			out, statements := ask(t, buy("blue", "lamp", 11))
			if out.InStock || out.TotalCents != 11*1999 || statements != test.want[1] {
				t.Errorf("quantity 11: %+v after %d statements", out, statements)
			}
		})
	}
}

// An order gets the current price, and later quotes get it too.
func TestOrderRefreshesThePrice(t *testing.T) {
	newContainer(t)
	order := buy("blue", "lamp", 3)
	order.Order = true
	for i, event := range []In{buy("blue", "lamp", 3), order, order, buy("blue", "lamp", 3)} {
		want := []int{1, 1, 1, 0}[i] // statements
		if out, statements := ask(t, event); out != blueLamp || statements != want {
			t.Errorf("event %d: %+v after %d statements, want %d", i, out, statements, want)
		}
	}
}

func TestTenantsGetTheirOwn(t *testing.T) {
	newContainer(t)
	for range 3 {
		for _, want := range []Quote{blueLamp, greenLamp} {
			if got, _ := ask(t, buy(want.Tenant, "lamp", 3)); got != want {
				t.Errorf("%s: %+v, want %+v", want.Tenant, got, want)
			}
		}
	}
}

func TestConcurrentInvocations(t *testing.T) {
	newContainer(t)
	before := gate.Count()
	var invocations sync.WaitGroup
	for i := range 8 {
		want := []Quote{blueLamp, greenLamp}[i%2]
		invocations.Go(func() {
			for range 50 {
				got, err := handle(t.Context(), buy(want.Tenant, "lamp", 3))
				if err != nil || got != want {
					t.Errorf("%s: %+v, %v, want %+v", want.Tenant, got, err, want)
				}
			}
		})
	}
	invocations.Wait()
	if got := gate.Count() - before; got != 2 {
		t.Errorf("%d statements for two products", got)
	}
}

// The tenant of the host overrides the one in the event.
func TestTenantOfTheHost(t *testing.T) {
	newContainer(t)
	for _, test := range []struct {
		host, event string
		want        Quote
	}{
		{"", "blue", blueLamp},
		{"green", "", greenLamp},
		{"green", "blue", greenLamp},
	} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: test.host})
		event, err := json.Marshal(buy(test.event, "lamp", 3))
		if err != nil {
			t.Fatal(err)
		}
		got, err := handleOnHost(ctx, event)
		if err != nil || got != test.want {
			t.Errorf("host %q, event %q: %+v, %v, want %+v", test.host, test.event, got, err, test.want)
		}
	}
}

func TestMissingProduct(t *testing.T) {
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		_, err := handle(t.Context(), buy("blue", "chair", 1))
		if !errors.Is(err, cache.ErrNotFound) || !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("error = %v, want cache.ErrNotFound and sql.ErrNoRows", err)
		}
		if want := `catalog: product "chair" of tenant "blue": not found`; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
}

// A missing product is not cached: it is found as soon as it exists.
func TestNewProductIsSeenAtOnce(t *testing.T) {
	newContainer(t)
	if _, err := handle(t.Context(), buy("blue", "sofa", 1)); err == nil {
		t.Fatal("there is a sofa already")
	}
	mustWrite(t, `INSERT INTO products VALUES('blue', 'sofa', 'Sofa', 1, 1, '')`)
	t.Cleanup(func() { mustWrite(t, `DELETE FROM products WHERE sku = 'sofa'`) })
	if out, _ := ask(t, buy("blue", "sofa", 1)); out.Name != "Sofa" {
		t.Errorf("%+v", out)
	}
}

func mustWrite(t *testing.T, statement string) {
	t.Helper()
	if err := write(statement); err != nil {
		t.Fatal(err)
	}
}

// A change in the database shows after TTL, or after a Delete at once.
func TestUpdateShowsAfterDelete(t *testing.T) {
	newContainer(t)
	ask(t, buy("blue", "lamp", 1))
	mustWrite(t, `UPDATE products SET price_cents = 5 WHERE tenant = 'blue' AND sku = 'lamp'`)
	t.Cleanup(func() {
		mustWrite(t, `UPDATE products SET price_cents = 1999 WHERE tenant = 'blue' AND sku = 'lamp'`)
	})
	if out, _ := ask(t, buy("blue", "lamp", 1)); out.UnitCents != 1999 {
		t.Errorf("price before the Delete = %d, want the cached 1999", out.UnitCents)
	}
	products.Delete(ProductKey{Tenant: "blue", SKU: "lamp"})
	if out, _ := ask(t, buy("blue", "lamp", 1)); out.UnitCents != 5 {
		t.Errorf("price after the Delete = %d, want 5", out.UnitCents)
	}
}

func TestInvalidEvents(t *testing.T) {
	before := gate.Count()
	for _, test := range []struct {
		in   In
		want string
	}{
		{buy("", "lamp", 1), "no tenant"},
		{buy("blue", "", 1), "no sku"},
		{buy("blue", "lamp", 0), "quantity is 0"},
		{buy("blue", "lamp", -1), "quantity is -1"},
		{buy("blue", "lamp", maxQuantity+1), "quantity is 10001"},
		{buy(strings.Repeat("b", maxName+1), "lamp", 1), "longer than 200"},
		{buy("blue", strings.Repeat("l", maxName+1), 1), "longer than 200"},
		{In{Tenant: "blue", Page: -1}, "page is -1"},
		{In{Tenant: "blue", Page: maxPage + 1}, "page is 1001"},
		{In{Tenant: "blue", Page: 1, SKU: "lamp"}, "one of them"},
		{In{Tenant: "blue", Page: 1, Quantity: 1}, "one of them"},
		{In{Page: 1}, "no tenant"},
	} {
		if _, err := handle(t.Context(), test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error = %v, want it to say %q", test.in, err, test.want)
		}
	}
	if got := gate.Count() - before; got != 0 {
		t.Errorf("%d statements", got)
	}
}

func TestErrorOfTheDatabaseIsNotKept(t *testing.T) {
	newContainer(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := handle(ctx, buy("blue", "lamp", 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if out, _ := ask(t, buy("blue", "lamp", 3)); out != blueLamp {
		t.Errorf("%+v, want %+v", out, blueLamp)
	}
}

func TestWrongDatabase(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.db")
	right := database
	defer func() { database = right }()
	for _, test := range []struct{ path, want string }{
		{"", "neither DATABASE_URL nor CATALOG_DB is set"},
		{missing, "unable to open database file"},
	} {
		t.Setenv("CATALOG_DB", test.path)
		database = sync.OnceValues(openDatabase)
		_, err := loadProduct(t.Context(), ProductKey{"blue", "lamp"})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: error = %v, want it to say %q", test.path, err, test.want)
		}
		if db, err := database(); err == nil {
			db.Close()
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("opening created a database")
	}
}

// Three invocations of one container: the first queries the database, the others do
// not, even for another quantity.
func Example() {
	products.Clear()
	for quantity := range int64(3) {
		before := gate.Count()
		out, err := quote(context.Background(), In{Tenant: "blue", SKU: "lamp", Quantity: 1 + quantity})
		fmt.Println(out.Quantity, out.Name, out.TotalCents, err, "statements:", gate.Count()-before)
	}
	// Output:
	// 1 Blue lamp 1999 <nil> statements: 1
	// 2 Blue lamp 3998 <nil> statements: 0
	// 3 Blue lamp 5997 <nil> statements: 0
}
