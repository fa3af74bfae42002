package geodb

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

func TestCountry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, Make(256, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for addr, want := range map[string]string{
		"0.0.0.0": Letters(0, 1), "7.0.0.0": Letters(7, 1), "7.255.255.255": Letters(7, 1), "255.1.1.1": Letters(255, 1), "::1": "",
	} {
		if got := db.Country(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
}

func TestInvalidDatabases(t *testing.T) {
	for _, b := range []string{"", "GEODB000", magic + "12345"} {
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil {
			t.Errorf("%q: no error", b)
		}
	}
	if db, err := New([]byte(magic)); err != nil || db.Country(netip.MustParseAddr("1.1.1.1")) != "" {
		t.Errorf("an empty database: %v", err)
	}
}
