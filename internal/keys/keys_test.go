package keys

import (
	"math"
	"strings"
	"testing"
	"unsafe"
)

type pair struct{ A, B string }

type mixed struct {
	Tenant  string
	ID      int64
	Flag    bool
	Small   uint8
	Nested  pair
	Words   [2]string
	private int
}

type padded struct {
	A string
	_ int
}

type name string

func encode[K comparable](t *testing.T, key K) string {
	t.Helper()
	e, err := Encoder[K]()
	if err != nil {
		t.Fatal(err)
	}
	return e(key)
}

func TestDifferentKeysDiffer(t *testing.T) {
	distinct := []pair{{"tenant 1", "x"}, {"tenant", "1 x"}, {"a|b", "c"}, {"a", "b|c"}, {"ab", ""}, {"", "ab"}, {"", ""}, {"\x00", ""}, {"", "\x00"}}
	seen := map[string]pair{}
	for _, k := range distinct {
		s := encode(t, k)
		if other, dup := seen[s]; dup {
			t.Errorf("%q and %q have the same encoding", k, other)
		}
		seen[s] = k
	}
	base := mixed{"t", -1, true, 7, pair{"p", "q"}, [2]string{"x", "yz"}, 1}
	for i, change := range []func(*mixed){
		func(m *mixed) { m.Tenant = "u" },
		func(m *mixed) { m.ID = math.MinInt64 },
		func(m *mixed) { m.Flag = false },
		func(m *mixed) { m.Small = 8 },
		func(m *mixed) { m.Nested = pair{"pq", ""} },
		func(m *mixed) { m.Words = [2]string{"xy", "z"} },
		func(m *mixed) { m.private = 2 },
	} {
		other := base
		change(&other)
		if encode(t, base) == encode(t, other) {
			t.Errorf("change %d does not change the encoding", i)
		}
	}
}

func TestEqualKeysAgree(t *testing.T) {
	if a, b := encode(t, padded{A: "x"}), encode(t, padded{A: "x"}); a != b {
		t.Errorf("%q != %q", a, b)
	}
	if got := encode(t, name("sku")); got != "sku" {
		t.Errorf("a named string encodes as %q", got)
	}
	if got := encode(t, "sku"); got != "sku" {
		t.Errorf("a string encodes as %q", got)
	}
	if encode(t, int32(-1)) == encode(t, int32(1)) || encode(t, uint64(math.MaxUint64)) == encode(t, uint64(0)) {
		t.Error("integers do not encode as themselves")
	}
}

func TestRefusedTypesAreNamed(t *testing.T) {
	type price struct{ Amount float64 }
	type product struct {
		SKU   string
		Price price
	}
	for _, tt := range []struct {
		make func() error
		want string
	}{
		{func() error { _, err := Encoder[product](); return err }, "keys.product.Price.Amount is a float64"},
		{func() error { _, err := Encoder[any](); return err }, "is a interface"},
		{func() error { _, err := Encoder[*int](); return err }, "is a ptr"},
		{func() error { _, err := Encoder[[2]chan int](); return err }, "[] is a chan"},
		{func() error { _, err := Encoder[complex64](); return err }, "complex64"},
	} {
		if err := tt.make(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want an error with %q", err, tt.want)
		}
	}
}

// Two keys encode alike exactly when they are equal.
func FuzzPairs(f *testing.F) {
	f.Add("tenant 1", "x", "tenant", "1 x")
	f.Add("", "\x01a", "\x01", "a")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		k1, k2 := pair{a, b}, pair{c, d}
		if (encode(t, k1) == encode(t, k2)) != (k1 == k2) {
			t.Errorf("%q and %q", k1, k2)
		}
	})
}

// Encodings of many keys of one type are all different.
func distinct[K comparable](t *testing.T, keys ...K) {
	t.Helper()
	seen := map[string]K{}
	for _, k := range keys {
		s := encode(t, k)
		if other, dup := seen[s]; dup && other != k {
			t.Errorf("%#v and %#v have the same encoding %q", other, k, s)
		}
		seen[s] = k
	}
}

func TestDistinct(t *testing.T) {
	distinct(t, 0, 1, -1, 63, 64, 127, 128, 255, 256, 257, -128, -129, math.MaxInt, math.MinInt)
	distinct[uint64](t, 0, 1, 127, 128, 255, 256, 1<<32, 1<<32+1, math.MaxUint64)
	distinct(t, [3]int16{1, 2, 3}, [3]int16{1, 2, 4}, [3]int16{1, 3, 3})
	distinct(t, [2]int{1, 256}, [2]int{256, 1}, [2]int{1, 1})
	distinct(t, [2]bool{true, false}, [2]bool{false, true})
	distinct[uintptr](t, 1, 2)
	// With a length of one byte these two would be 00 00 a*255 00, both.
	as := strings.Repeat("a", 255)
	distinct(t, pair{"\x00" + as, ""}, pair{"", as + "\x00"})
}

// Keys that differ only in a blank field are equal.
func TestBlankFieldsDoNotCount(t *testing.T) {
	type loud struct {
		_ int
		A string
	}
	// Only unsafe can tell the blank fields apart.
	a, b := loud{A: "x"}, loud{A: "x"}
	*(*int)(unsafe.Pointer(&b)) = 7
	if a != b {
		t.Fatal("not what this test is about")
	}
	if encode(t, a) != encode(t, b) {
		t.Error("equal keys encode differently: they would not share a flight, and Delete would miss it")
	}
}

type named int

// The shorter way for integers has the same result as the general one.
func TestShortcutsAgree(t *testing.T) {
	for _, n := range []int{0, 1, -1, 63, 64, -65, math.MaxInt32, math.MinInt32} {
		want := encode(t, named(n))
		if a, b, c := encode(t, n), encode(t, int64(n)), encode(t, int32(n)); a != want || b != want || c != want {
			t.Errorf("%d: %q, %q, %q; want %q", n, a, b, c, want)
		}
	}
}

func TestShape(t *testing.T) {
	type id int64
	type key struct {
		Tenant string
		_      [3]byte
		IDs    [2]id
		Sub    struct{ OK bool }
	}
	if got, want := Shape[key](), "{Tenant string;IDs [2]int64;Sub {OK bool;};}"; got != want {
		t.Errorf("Shape = %s; want %s", got, want)
	}
	if Shape[int64]() == Shape[uint64]() || Shape[id]() != Shape[int64]() {
		t.Error("the shape is not that of the kind")
	}
}
