// Package geodb is a format for the countries of IPv4 addresses. Sorted records of
// a first address and a country code are searched in place.
package geodb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sort"
)

const (
	magic      = "GEODB001"
	recordSize = 6 // first address, big-endian; country
)

// A DB is an open database. It is safe for concurrent use, but not after Close.
type DB struct {
	records []byte
	unmap   func() error
}

// New returns a DB that reads b, which must not change.
func New(b []byte) (*DB, error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic || (len(b)-len(magic))%recordSize != 0 {
		return nil, errors.New("geodb: not a database")
	}
	return &DB{records: b[len(magic):], unmap: func() error { return nil }}, nil
}

// Open maps the file at path into memory, so only the pages that a search touches
// are read.
func Open(path string) (*DB, error) {
	b, unmap, err := mapFile(path)
	if err != nil {
		return nil, fmt.Errorf("geodb: %w", err)
	}
	db, err := New(b)
	if err != nil {
		unmap()
		return nil, err
	}
	db.unmap = unmap
	return db, nil
}

// Close unmaps the memory. Reading the DB afterwards crashes the process.
func (db *DB) Close() error { return db.unmap() }

// Country returns the two-letter country code of an address, or "" if it has none.
func (db *DB) Country(addr netip.Addr) string {
	if !addr.Is4() {
		return ""
	}
	b := addr.As4()
	ip := binary.BigEndian.Uint32(b[:])
	n := len(db.records) / recordSize
	i := sort.Search(n, func(i int) bool { return binary.BigEndian.Uint32(db.records[i*recordSize:]) > ip })
	if i == 0 {
		return ""
	}
	return string(db.records[i*recordSize-2 : i*recordSize])
}

// Make returns a database with n ranges of equal size, for tests. The countries
// depend on the seed.
func Make(n, seed int) []byte {
	b := []byte(magic)
	for i := range n {
		b = binary.BigEndian.AppendUint32(b, uint32(uint64(i)<<32/uint64(n)))
		b = append(b, Letters(i, seed)...)
	}
	return b
}

// Letters returns the country code of the ith range.
func Letters(i, seed int) string {
	k := i*31 + seed*7919
	return string([]byte{'A' + byte(k%26), 'A' + byte(k/26%26)})
}
