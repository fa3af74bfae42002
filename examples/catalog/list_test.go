package main

import (
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/warmcache/warmcache/cache"
)

var (
	listedLamp  = Listed{SKU: "lamp", Name: "Blue lamp", UnitCents: 1999, Stock: 10}
	listedTable = Listed{SKU: "table", Name: "Blue table", UnitCents: 9900, Stock: 0}
	bluePage    = List{Tenant: "blue", Page: 1, Products: []Listed{listedLamp, listedTable}}
	inStockPage = List{Tenant: "blue", Page: 1, Products: []Listed{listedLamp}}
	allOfBlue   = In{Tenant: "blue", Page: 1}
	inStockOnly = In{Tenant: "blue", Page: 1, InStock: true}
)

func mustList(t *testing.T, in In, want List) {
	t.Helper()
	if got, err := handle(t.Context(), in); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v: %+v, %v, want %+v", in, got, err, want)
	}
}

// The most common bug of caches in memory: an invocation that wants some of the
// rows removes the others from the cached slice.
func TestFilterDoesNotSpoilThePage(t *testing.T) {
	for _, first := range []In{allOfBlue, inStockOnly} { // which event loads the page
		newContainer(t)
		if _, err := handle(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			mustList(t, inStockOnly, inStockPage)
			mustList(t, allOfBlue, bluePage)
		}
	}
}

// The same without Clone, to show that the test above detects the bug.
func TestWithoutCloneTheFilterSpoilsThePage(t *testing.T) {
	naive := pageOptions
	naive.Clone = nil
	shared := cache.Must(cache.New(naive))
	get := func() []Listed {
		t.Helper()
		products, err := shared.Get(t.Context(), PageKey{"blue", 1})
		if err != nil {
			t.Fatal(err)
		}
		return products
	}
	inStock(get())
	if got := get(); reflect.DeepEqual(got, bluePage.Products) {
		t.Errorf("%+v: sharing the slice is harmless: remove Clone", got)
	}
}

func TestOneStatementForAPage(t *testing.T) {
	newContainer(t)
	before := gate.Count()
	for range 3 {
		mustList(t, allOfBlue, bluePage)
		mustList(t, inStockOnly, inStockPage)
		mustList(t, In{Tenant: "red", Page: 1}, List{Tenant: "red", Page: 1, Products: []Listed{}})
	}
	if got := gate.Count() - before; got != 2 {
		t.Errorf("%d statements for two pages", got)
	}
}

func TestPages(t *testing.T) {
	newContainer(t)
	var want []string
	for i := range pageSize + 3 {
		sku := fmt.Sprintf("p%02d", i)
		want = append(want, sku)
		mustWrite(t, fmt.Sprintf(`INSERT INTO products VALUES('many', '%s', '%s', 1, 1, '')`, sku, sku))
	}
	t.Cleanup(func() { mustWrite(t, `DELETE FROM products WHERE tenant = 'many'`) })
	for range 2 {
		var got []string
		for page, n := range []int{pageSize, 3, 0} {
			out, err := list(t.Context(), In{Tenant: "many", Page: int64(page + 1)})
			if err != nil || len(out.Products) != n {
				t.Errorf("page %d: %+v, %v", page+1, out, err)
			}
			for _, p := range out.Products {
				got = append(got, p.SKU)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Concurrent invocations each filter their own copy.
func TestConcurrentFilters(t *testing.T) {
	newContainer(t)
	var invocations sync.WaitGroup
	for i := range 8 {
		invocations.Go(func() {
			for range 50 {
				if i%2 == 0 {
					mustList(t, allOfBlue, bluePage)
				} else {
					mustList(t, inStockOnly, inStockPage)
				}
			}
		})
	}
	invocations.Wait()
}
