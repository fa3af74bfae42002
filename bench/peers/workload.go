package main

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

const (
	resident  = 10_000 // keys in the cache when hits are measured
	read      = 8_192  // of them that are read
	batch     = 100    // keys of a bulk get
	keyPrefix = "product:"
)

// value is the target of the pointers in the caches.
type value struct {
	id    int
	name  string
	cents int
}

// structKey is a key of several parts, as a tenant's product has.
type structKey struct{ tenant, sku string }

// workload has the entries of a cache and the keys to read, all allocated before the
// caches.
type workload struct {
	keys    []string
	structs []structKey // the same keys as structs; as ints they are the indexes
	values  []*value

	// The keys to read, in shuffled order. The strings are copies, as the keys of real
	// requests are: comparing a string with itself is cheaper than with its equal.
	order        []string
	orderInts    []int
	orderStructs []structKey
	batches      [][]string
}

func newWorkload(n, read int) *workload {
	w := &workload{keys: makeKeys(n)}
	for i := range n {
		w.structs = append(w.structs, newStructKey(i))
		w.values = append(w.values, &value{id: i, name: "Lamp", cents: 1999})
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, i := range rnd.Perm(n)[:min(read, n)] {
		w.order = append(w.order, strings.Clone(w.keys[i]))
		w.orderInts = append(w.orderInts, i)
		w.orderStructs = append(w.orderStructs, newStructKey(i))
	}
	for rest := w.order; len(rest) >= batch; rest = rest[batch:] {
		w.batches = append(w.batches, rest[:batch])
	}
	return w
}

func makeKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%08d", keyPrefix, i)
	}
	return keys
}

func newStructKey(i int) structKey {
	return structKey{tenant: fmt.Sprintf("tenant-%02d", i%10), sku: fmt.Sprintf("%08d", i)}
}

// byKey returns the value of one of w's keys.
func (w *workload) byKey(key string) *value { return w.values[index(key[len(keyPrefix):])] }

func index(digits string) int { return must(strconv.Atoi(digits)) }
