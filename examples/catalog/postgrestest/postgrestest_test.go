package postgrestest

import (
	"database/sql"
	"errors"
	"os"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
)

func TestServer(t *testing.T) {
	s, err := Start()
	if errors.Is(err, ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs a PostgreSQL server: run .ci/install/postgresql")
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", s.URL())
	if err != nil {
		t.Fatal(err)
	}
	var one int
	if err := db.QueryRow("SELECT 1").Scan(&one); err != nil || one != 1 {
		t.Errorf("%d, %v", one, err)
	}
	if err := errors.Join(db.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}
