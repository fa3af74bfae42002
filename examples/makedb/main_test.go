package main

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMakesTheExample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	statements, err := os.ReadFile("../catalog/testdata/catalog.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := run(path, strings.NewReader(string(statements))); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM products").Scan(&n); err != nil || n != 3 {
		t.Errorf("%d products, %v", n, err)
	}
	if err := run(path, strings.NewReader("")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("into an existing database: %v", err)
	}
}
