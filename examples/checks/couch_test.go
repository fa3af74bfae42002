package main

import (
	"errors"
	"os"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/checks/checktest"
)

// inCouch starts a server with the customers of checks.sql and makes it the test's
// database.
func inCouch(t *testing.T) *checktest.Couch {
	t.Helper()
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
	t.Setenv("COUCHDB_URL", server.URL())
	newTmp(t)
	return server
}

func TestCouchGivesTheSameAnswers(t *testing.T) {
	needsOCR(t)
	server := inCouch(t)
	for range 2 { // the second round replaces the records
		expectEverything(t)
	}
	for _, want := range everything {
		got, err := server.Get(t.Context(), "checks", documentID(want.Bucket, want.Key))
		if err != nil || got["status"] != want.Status || got["reason"] != orNil(want.Reason) || got["account"] != orNil(want.Account) {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	}
}

// orNil returns nil for a string that JSON omits.
func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func TestCouchCustomer(t *testing.T) {
	inCouch(t)
	s, err := configuration()
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.db.customer(t.Context(), CustomerKey{"south-bank", "40817263"})
	if want := (Customer{"Charles Babbage", 900000}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	if _, err := s.db.customer(t.Context(), CustomerKey{"south-bank", "55667788"}); !errors.Is(err, cache.ErrNotFound) {
		t.Errorf("error = %v", err)
	}
}

// The same event in two containers at once: one of the records is saved.
func TestCouchConflicts(t *testing.T) {
	server := inCouch(t)
	s, err := configuration()
	if err != nil {
		t.Fatal(err)
	}
	const writers = 2
	var saves sync.WaitGroup
	for i := range writers {
		saves.Go(func() {
			if err := s.save(t.Context(), Out{Bucket: "b", Key: "k", Reason: strconv.Itoa(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	saves.Wait()
	got, err := server.Get(t.Context(), "checks", documentID("b", "k"))
	if rev, _ := got["_rev"].(string); err != nil || rev == "" || rev[0] != '0'+writers {
		t.Errorf("%v, %v, want a document that was written %d times", got, err, writers)
	}
}

func TestDocumentIDs(t *testing.T) {
	ids := map[string][2]string{}
	for _, names := range [][2]string{{"a", "b:c"}, {"a:b", "c"}, {"", "a"}, {"a", ""}, {"1:a", "b"}} {
		id := documentID(names[0], names[1])
		if other, ok := ids[id]; ok && !reflect.DeepEqual(other, names) {
			t.Errorf("%v and %v are both %s", names, other, id)
		}
		ids[id] = names
	}
}
