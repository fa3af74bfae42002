package origin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}

// Results of different releases are compared, so the bytes must never change.
func TestObjectNeverChanges(t *testing.T) {
	for _, test := range []struct {
		size int
		seed byte
		want string
	}{
		{0, 1, "e3b0c44298fc1c14"}, // empty
		{13, 1, "1f6a5e5da3acc14b"},
		{12 << 20, 1, "68a3533acf3a2b6a"},
		{12 << 20, 2, "d4f1824123729c56"},
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

func BenchmarkObject12MiB(b *testing.B) {
	b.SetBytes(12 << 20)
	for b.Loop() {
		Object(12<<20, 1)
	}
}
