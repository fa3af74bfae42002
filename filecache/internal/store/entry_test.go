package store

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"
	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

func sampleEntry() *entry {
	e := &entry{
		key:       Key{Origin: "s3://models", Name: "prices-eu.bin", Version: "v1"},
		etag:      `"abc"`,
		modified:  1_767_323_045_000_000_000,
		size:      blocks.MinSize + 1,
		algorithm: 3,
		sum:       []byte{1, 2, 3, 4},
		whole:     0x0123456789abcdef,
		blockSize: blocks.MinSize,
		crcs:      []uint64{7, 8},
		wall:      1_800_000_000_000_000_000,
		mono:      123_456_789,
		boot:      [16]byte{15: 9},
	}
	e.data = dataName(e.key.entryName(), e.size, 99)
	return e
}

// A change of the encoding needs a new version, in a new directory.
func TestGoldenEntry(t *testing.T) {
	const file = "testdata/entry.v2.hex"
	got := hex.Dump(sampleEntry().encode())
	if os.Getenv("UPDATE_GOLDEN") != "" {
		os.MkdirAll("testdata", 0o755)
		os.WriteFile(file, []byte(got), 0o644)
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("format version 2 has changed:\n%s", got)
	}
}

// An entry of an earlier version is a miss, not a failure.
func TestGoldenEntryOfVersion1(t *testing.T) {
	text, err := os.ReadFile("testdata/entry.v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for line := range strings.Lines(string(text)) {
		columns, _, _ := strings.Cut(line[10:], "|")
		row, err := hex.DecodeString(strings.Join(strings.Fields(columns), ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, row...)
	}
	if _, err := decodeEntry(b); !errors.Is(err, errEntry) || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("got %v, want an error that names version 1", err)
	}
}

func TestEntryRoundTrip(t *testing.T) {
	want := sampleEntry()
	got, err := decodeEntry(want.encode())
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The entry of a hundred-megabyte object fits on one page.
func TestEntrySize(t *testing.T) {
	e := sampleEntry()
	e.size = 100 << 20
	e.blockSize = blocks.SizeFor(e.size)
	e.crcs = make([]uint64, blocks.Count(e.size, e.blockSize))
	if n := len(e.encode()); n > 4096 {
		t.Errorf("the entry has %d bytes, more than a page", n)
	}
}

// A data name cannot lead out of the directory.
func TestDataNames(t *testing.T) {
	for _, s := range []string{"", "..", "../x", "a/b", "A", "x", dataName(Key{Name: "another"}.entryName(), 1, 2)} {
		e := sampleEntry()
		e.data = s
		if _, err := decodeEntry(e.encode()); err == nil {
			t.Errorf("data name %q is accepted", s)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(sampleEntry().encode())
	f.Add([]byte(entryMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		if !bytes.Equal(e.encode(), b) {
			t.Error("an accepted entry does not encode to the same bytes")
		}
	})
}

// On 32-bit systems the number is negative.
func TestHostileBlockCount(t *testing.T) {
	e := sampleEntry()
	e.crcs = nil
	b := e.encode()
	tail := 4 + len(e.data) + 4 + 16 + 16 + 8
	binary.BigEndian.PutUint32(b[len(b)-tail:], 0xFFFFFFFF)
	body := b[:len(b)-8]
	binary.BigEndian.PutUint64(b[len(b)-8:], crc64nvme.Checksum(body))
	if _, err := decodeEntry(b); err == nil {
		t.Error("accepted")
	}
}
