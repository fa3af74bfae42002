package main

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// eachStore runs a test with an empty database of each kind. Each call of open
// returns another client of the same database.
func eachStore(t *testing.T, test func(t *testing.T, open func() Store)) {
	t.Run("sqlite", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sessions of a?b%20.db") // a name that would break an unescaped URI
		test(t, func() Store { return mustOpen(t, openSQLite, path) })
	})
	t.Run("dynamodb", func(t *testing.T) {
		table := newTable(t)
		test(t, func() Store { return mustOpen(t, openDynamoDB, table) })
	})
}

func mustOpen(t testing.TB, open func(string) (Store, error), name string) Store {
	t.Helper()
	store, err := open(name)
	if err != nil {
		t.Fatal(err)
	}
	if l, ok := store.(sqlite); ok {
		t.Cleanup(func() { l.db.Close() })
	}
	return store
}

func TestStores(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		ctx, a, b := t.Context(), open(), open()
		s := Session{
			Key:     Key{"blue", newID()},
			User:    "ann' --",
			Basket:  map[string]int64{"lamp": 2, `"chair"`: 1 << 40},
			Version: 7,
			Expires: time.Unix(1_800_000_000, 0),
		}
		wantMissing := func(key Key) {
			t.Helper()
			if got, err := b.Load(ctx, key); !errors.Is(err, cache.ErrNotFound) {
				t.Errorf("%+v, %v, want not found", got, err)
			}
		}
		want := func(s Session) {
			t.Helper()
			got, err := b.Load(ctx, s.Key)
			if err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("%+v, %v, want %+v", got, err, s)
			}
		}
		wantConflict := func(s Session) {
			t.Helper()
			if err := a.Update(ctx, s); !errors.Is(err, errConflict) {
				t.Errorf("update to version %d: error = %v, want a conflict", s.Version, err)
			}
		}
		no := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}

		wantMissing(s.Key)
		wantConflict(s)
		wantMissing(s.Key)
		no(a.Create(ctx, s))
		want(s)
		if err := a.Create(ctx, Session{Key: s.Key, Basket: map[string]int64{}}); err == nil {
			t.Error("created twice")
		}
		want(s)
		wantMissing(Key{"green", s.Key.ID})

		next := s.clone()
		delete(next.Basket, "lamp")
		wantConflict(next) // the version is still the old one
		next.Version = 9
		wantConflict(next)
		want(s)
		next.Version = 8
		no(a.Update(ctx, next))
		want(next)
		wantConflict(next) // not a second time

		empty := next
		empty.Version, empty.Basket = 9, map[string]int64{}
		no(b.Update(ctx, empty))
		want(empty)

		no(a.Delete(ctx, Key{"green", s.Key.ID}))
		want(empty)
		no(a.Delete(ctx, s.Key))
		wantMissing(s.Key)
		no(a.Delete(ctx, s.Key))
		empty.Version = 10
		wantConflict(empty)
		wantMissing(s.Key)
	})
}

func TestOpenStore(t *testing.T) {
	for _, name := range []string{"SESSION_TABLE", "SESSION_DB"} {
		t.Setenv(name, "")
	}
	if _, err := openStore(); err == nil || !strings.Contains(err.Error(), "SESSION_TABLE") {
		t.Errorf("error = %v", err)
	}
	missing := filepath.Join(t.TempDir(), "missing", "sessions.db")
	t.Setenv("SESSION_DB", missing)
	if _, err := openStore(); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v", err)
	}
	t.Setenv("SESSION_DB", filepath.Join(t.TempDir(), "sessions.db"))
	store, err := openStore()
	if l, ok := store.(sqlite); !ok || err != nil {
		t.Errorf("%T, %v", store, err)
	} else {
		l.db.Close()
	}
	t.Setenv("SESSION_TABLE", "sessions")
	t.Setenv("AWS_CA_BUNDLE", "")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	if store, err := openStore(); err != nil {
		t.Error(err)
	} else if d, ok := store.(dynamo); !ok || d.table != "sessions" {
		t.Errorf("%+v", store)
	}
}
