package table_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/examples/model/table"
)

// Results of different releases are compared, so the bytes must never change.
func TestMakeNeverChanges(t *testing.T) {
	b := table.Make(12 << 20 / table.RecordSize)
	if len(b) != 12<<20 {
		t.Errorf("%d bytes, want 12 MiB", len(b))
	}
	if got, want := fmt.Sprintf("%x", sha256.Sum256(b)), "099a6fc44107c04fa124c1883b55e1cb0dc072d711cf20732b0363ea43e83152"; got != want {
		t.Errorf("SHA-256 = %s, want %s", got, want)
	}
}

func TestLookup(t *testing.T) {
	for _, n := range []int{0, 1, 2, 3, 100} {
		b := table.Make(n)
		r, size := bytes.NewReader(b), int64(len(b))
		for i := range n {
			id := table.ID(i)
			if cents, found, err := table.Lookup(r, size, id); cents != table.Price(id) || !found || err != nil {
				t.Errorf("%d of %d: %d, %v, %v, want %d", id, n, cents, found, err, table.Price(id))
			}
		}
		for _, id := range []uint64{0, table.ID(0) - 1, table.ID(0) + 1, table.ID(n), 1<<64 - 1} {
			if cents, found, err := table.Lookup(r, size, id); cents != 0 || found || err != nil {
				t.Errorf("%d of %d, which is missing: %d, %v, %v", id, n, cents, found, err)
			}
		}
	}
}

func TestLookupSaysWhatIsWrong(t *testing.T) {
	b := table.Make(3)
	_, _, err := table.Lookup(bytes.NewReader(b), 47, 1000)
	if err == nil || !strings.Contains(err.Error(), "47 bytes") {
		t.Errorf("cut in a record: error = %v", err)
	}
	_, _, err = table.Lookup(bytes.NewReader(b[:20]), 48, 1000)
	if !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "record 1") {
		t.Errorf("shorter than said: error = %v", err)
	}
}

func ExampleLookup() {
	prices := table.Make(1000)
	for _, id := range []uint64{1007, 1008} {
		fmt.Println(table.Lookup(bytes.NewReader(prices), int64(len(prices)), id))
	}
	// Output:
	// 161772 true <nil>
	// 0 false <nil>
}
