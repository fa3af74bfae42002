package origin

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// Numbers of different releases are to be compared: the bytes must never change.
func TestObjectNeverChanges(t *testing.T) {
	for _, test := range []struct {
		size int
		seed uint64
		want string
	}{
		{0, 1, "e3b0c44298fc1c14"}, // of nothing
		{13, 1, "c599014cdea39201"},
		{12 << 20, 1, "8da24389c74c1565"},
		{12 << 20, 2, "7a813788ca067c6d"},
	} {
		object := Object(test.size, test.seed)
		if len(object) != test.size {
			t.Errorf("Object(%d, %d) has %d bytes", test.size, test.seed, len(object))
		}
		if got := sum(object); got != test.want {
			t.Errorf("Object(%d, %d) = %s, want %s", test.size, test.seed, got, test.want)
		}
	}
	if !bytes.HasPrefix(Object(13, 1), Object(5, 1)) {
		t.Error("a shorter object is not the beginning of a longer one")
	}
}

func catalogRows(t *testing.T, path string) string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT tenant, sku, name, price_cents, stock, description FROM products ORDER BY tenant, sku")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var tenant, sku, name, description string
		var price, stock int
		if err := rows.Scan(&tenant, &sku, &name, &price, &stock, &description); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, tenant, sku, name, price, stock, description)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestSeedCatalog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "catalog.db")
	if err := SeedCatalog(path, 3, 200); err != nil {
		t.Fatal(err)
	}
	rows := catalogRows(t, path)
	if got := strings.Count(rows, "\n"); got != 600 {
		t.Errorf("%d rows, want 600", got)
	}
	if first := "tenant-1 sku-00001 Product 1 of tenant-1 "; !strings.HasPrefix(rows, first) {
		t.Errorf("rows begin with %.80q, want %q", rows, first)
	}
	if got, want := sum([]byte(rows)), "b5067dd0772c1b21"; got != want {
		t.Errorf("rows = %s, want %s", got, want)
	}
	if left, _ := filepath.Glob(path + "-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSeedCatalogTwiceIsTheSameFile(t *testing.T) {
	dir := t.TempDir()
	var files [2][]byte
	for i := range files {
		path := filepath.Join(dir, fmt.Sprintf("catalog %d?mode=ro&%%41#.db", i)) // none of this is the URI's business
		if err := SeedCatalog(path, 2, 50); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) || len(files[0]) == 0 {
		t.Errorf("two files of %d and %d bytes differ", len(files[0]), len(files[1]))
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
}

func TestSeedCatalogOverwritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := SeedCatalog(path, 1, 1)
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error = %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "data" {
		t.Errorf("the file is now %q", data)
	}
	if err := SeedCatalog(path+"2", 1, 0); err == nil {
		t.Error("a catalog without products")
	}
	if _, err := os.Stat(path + "2"); err == nil {
		t.Error("a failed seed left a file")
	}
}

func BenchmarkObject12MiB(b *testing.B) {
	b.SetBytes(12 << 20)
	for b.Loop() {
		Object(12<<20, 1)
	}
}
