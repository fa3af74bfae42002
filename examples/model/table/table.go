// Package table is the format of a price table: records of 16 bytes, sorted by id,
// each an id and a price in cents as big-endian 64-bit numbers. Prices are found by
// binary search in the file, so no parsing or loading is needed.
package table

import (
	"encoding/binary"
	"fmt"
	"io"
)

// RecordSize is the size of a record in bytes.
const RecordSize = 16

// Lookup returns the price of id in the table of that size that r reads. The second
// result reports whether the table has the id.
func Lookup(r io.ReaderAt, size int64, id uint64) (cents uint64, found bool, err error) {
	if size%RecordSize != 0 {
		return 0, false, fmt.Errorf("table: the size is %d bytes: it must be a multiple of %d", size, RecordSize)
	}
	var record [RecordSize]byte
	for low, high := int64(0), size/RecordSize; low < high; {
		middle := low + (high-low)/2
		if n, err := r.ReadAt(record[:], middle*RecordSize); n < RecordSize {
			return 0, false, fmt.Errorf("table: look up %d: record %d: %w", id, middle, err)
		}
		switch at := binary.BigEndian.Uint64(record[:8]); {
		case at == id:
			return binary.BigEndian.Uint64(record[8:]), true, nil
		case at < id:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0, false, nil
}

// Make returns a table of n records for tests and benchmarks, the same on every
// machine: ID(0) to ID(n-1) with their Price. 786,432 records are 12 MiB.
func Make(n int) []byte {
	b := make([]byte, 0, n*RecordSize)
	for i := range n {
		b = binary.BigEndian.AppendUint64(b, ID(i))
		b = binary.BigEndian.AppendUint64(b, Price(ID(i)))
	}
	return b
}

// ID returns the id of record i of Make. The six ids between two records are
// missing from the table.
func ID(i int) uint64 { return 1000 + 7*uint64(i) }

// Price returns the price in cents that Make gives to id. Prices of neighboring ids
// are unrelated.
func Price(id uint64) uint64 {
	id *= 0x9e3779b97f4a7c15
	return 1 + (id>>32)%1_000_000
}
