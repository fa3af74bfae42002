package main

import (
	"fmt"
	"runtime"
)

// memoryEntries are in a cache when its memory is measured.
const memoryEntries = 100_000

// measureMemory measures what a cache costs per entry over its key and value,
// with the cost of the empty cache.
func measureMemory(s settings, r *results) error {
	libraries := selected(s, "memory", peers())
	if len(libraries) == 0 {
		return nil
	}
	w := newWorkload(memoryEntries, read)
	for round := range min(s.rounds, 3) {
		say("memory, round %d", round+1)
		for i := range libraries {
			p := libraries[(i+round)%len(libraries)]
			if p.fill == nil {
				continue
			}
			bytes, entries := heapOf(func() filled { return p.fill(w) })
			if entries < memoryEntries {
				return fmt.Errorf("memory of %s: %d of %d entries are resident", p.name, entries, memoryEntries)
			}
			r.add("memory", p.name, bytes/float64(entries))
		}
	}
	r.finish("memory")
	return nil
}

func heapOf(fill func() filled) (bytes float64, entries int) {
	before := heap()
	f := fill()
	after := heap()
	entries = f.len()
	f.close()
	return float64(after) - float64(before), entries
}

func heap() uint64 {
	var m runtime.MemStats
	for range 3 { // what has a finalizer or lies in a sync.Pool goes later
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measureAllocs measures the allocations of a hit.
func measureAllocs(s settings, r *results) error {
	w := newWorkload(resident, read)
	for _, p := range selected(s, "allocs", peers()) {
		if p.fill == nil {
			continue
		}
		f := p.fill(w)
		f.hit(0, read)
		for range min(s.rounds, 3) {
			r.add("allocs", p.name, mallocs(func() { f.hit(0, read) })/read)
		}
		f.close()
	}
	r.finish("allocs")
	return nil
}

func mallocs(do func()) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs - before.Mallocs)
}
