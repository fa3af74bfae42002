package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/catalog/postgrestest"
)

// inPostgres starts a server with the catalog and makes it the test's database.
func inPostgres(t *testing.T) *postgrestest.Server {
	t.Helper()
	server, err := postgrestest.Start()
	if errors.Is(err, postgrestest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs a PostgreSQL server: run .ci/install/postgresql")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	useDatabase(t, server.URL())
	db, err := database()
	if err == nil {
		_, err = db.Exec(catalogSQL)
	}
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// useDatabase simulates a new process with that DATABASE_URL.
func useDatabase(t *testing.T, url string) {
	t.Helper()
	newContainer(t)
	t.Setenv("DATABASE_URL", url)
	before := database
	database = sync.OnceValues(openDatabase)
	t.Cleanup(func() {
		if db, err := database(); err == nil {
			db.Close()
		}
		database = before
	})
}

// The databases give the same answers, except for the texts of their errors.
func TestPostgresGivesTheSameAnswers(t *testing.T) {
	newContainer(t)
	var want []string
	for _, in := range everything {
		want = append(want, describe(handle(t.Context(), in)))
	}
	inPostgres(t)
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		for _, round := range []string{"first", "again"} {
			for i, in := range everything {
				if got := describe(handle(t.Context(), in)); got != want[i] {
					t.Errorf("%s, WARMCACHE=%s, %+v:\nPostgreSQL %s\nSQLite     %s", round, setting, in, got, want[i])
				}
			}
		}
	}
}

func TestPostgresIsAskedOnce(t *testing.T) {
	inPostgres(t)
	for _, want := range []int{1, 0, 0} {
		if out, statements := ask(t, buy("green", "lamp", 3)); out != greenLamp || statements != want {
			t.Errorf("%+v after %d statements, want %d", out, statements, want)
		}
	}
	_, err := handle(t.Context(), buy("blue", "chair", 1))
	if !errors.Is(err, cache.ErrNotFound) || !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("error = %v", err)
	}
}

// The server has closed the connection while the container was frozen.
func TestPostgresConnectionDied(t *testing.T) {
	server := inPostgres(t)
	ask(t, buy("blue", "lamp", 3))
	killer, err := sql.Open("pgx", server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Close()
	killed := 0
	const kill = `SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
	if err := killer.QueryRow(kill).Scan(&killed); err != nil || killed == 0 {
		t.Fatalf("%d connections ended, %v", killed, err)
	}
	newContainer(t)
	if out, _ := ask(t, buy("blue", "lamp", 3)); out != blueLamp {
		t.Errorf("%+v", out)
	}
}

// Without the database, a cached product is served and any other product is an
// error.
func TestPostgresGone(t *testing.T) {
	server := inPostgres(t)
	ask(t, buy("blue", "lamp", 3))
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if out, _ := ask(t, buy("blue", "lamp", 3)); out != blueLamp {
		t.Errorf("%+v", out)
	}
	if _, err := handle(t.Context(), buy("green", "lamp", 3)); err == nil || !strings.Contains(err.Error(), `product "lamp" of tenant "green"`) {
		t.Errorf("error = %v", err)
	}
}

func TestPostgresContextEnds(t *testing.T) {
	inPostgres(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := handle(ctx, buy("blue", "lamp", 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if out, _ := ask(t, buy("blue", "lamp", 3)); out != blueLamp {
		t.Errorf("%+v", out)
	}
}

func TestNoDatabaseURL(t *testing.T) {
	useDatabase(t, "postgres://%zz")
	if _, err := handle(t.Context(), buy("blue", "lamp", 3)); err == nil || !strings.Contains(err.Error(), "parse") {
		t.Errorf("error = %v", err)
	}
}
