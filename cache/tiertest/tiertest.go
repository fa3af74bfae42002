// Package tiertest tests implementations of [cache.Tier]:
//
//	func TestTier(t *testing.T) {
//		tiertest.Test(t, func(t *testing.T) (a, b cache.Tier) {
//			server := startServer(t)
//			return newTier(t, server), newTier(t, server)
//		})
//	}
//
// The tests check the contract that a [cache.Cache] relies on. Above all, Get never
// returns a record after its Delete. The tests do not cover failures of the
// storage.
package tiertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// Test runs all checks, each as a subtest. Each calls open for two Tiers that share one
// empty storage, as two processes do; they may be the same Tier. Run it with the race
// detector. It takes a few seconds.
func Test(t *testing.T, open func(t *testing.T) (a, b cache.Tier)) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			a, b := open(t)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := c.run(ctx, a, b); err != nil {
				t.Error(err)
			}
		})
	}
}

// A check returns an error if the Tiers break the contract.
type check struct {
	name string
	run  func(ctx context.Context, a, b cache.Tier) error
}

var checks = []check{
	{"Set", checkSet},
	{"UseRejects", checkReject},
	{"LeaseGivenBack", checkGivenBack},
	{"LeaseNeverGranted", checkNeverGranted},
	{"Delete", checkDelete},
	{"DeleteEndsLeases", checkDeleteEndsLeases},
	{"OldLeaseAfterNew", checkOldLease},
	{"Names", checkNames},
	{"Records", checkRecords},
	{"TTL", checkTTL},
	{"ContextEnds", checkContext},
	{"Waiting", checkWaiting},
	{"Concurrency", checkConcurrency},
	{"BatchSet", checkBatch},
	{"BatchDelete", checkBatchDelete},
}

// get returns the record of name, which is nil if there is none, and the lease.
func get(ctx context.Context, t cache.Tier, name string) (record []byte, lease string, err error) {
	lease, err = t.Get(ctx, name, func(b []byte) bool {
		record = bytes.Clone(b)
		return true
	})
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("Get(%q): %w", name, err)
	case record != nil && lease != "":
		return nil, "", fmt.Errorf("Get(%q) returned a lease although use took the record", name)
	}
	return record, lease, nil
}

// lease returns a lease of name, which has no record.
func lease(ctx context.Context, t cache.Tier, name string) (string, error) {
	record, lease, err := get(ctx, t, name)
	switch {
	case err != nil:
		return "", err
	case record != nil:
		return "", fmt.Errorf("Get(%q) found %.40q, want no record", name, record)
	case lease == "":
		return "", fmt.Errorf("Get(%q) found no record and granted no lease", name)
	}
	return lease, nil
}

func set(ctx context.Context, t cache.Tier, name, lease, record string) error {
	r := cache.TierRecord{Name: name, Lease: lease, Record: []byte(record), TTL: time.Hour}
	if err := t.Set(ctx, r); err != nil {
		return fmt.Errorf("Set(%q): %w", name, err)
	}
	return nil
}

// store makes a record as a Cache does after a miss.
func store(ctx context.Context, t cache.Tier, name, record string) error {
	l, err := lease(ctx, t, name)
	if err != nil {
		return err
	}
	return set(ctx, t, name, l, record)
}

func want(ctx context.Context, t cache.Tier, name, want string) error {
	record, _, err := get(ctx, t, name)
	if err == nil && string(record) != want {
		err = fmt.Errorf("Get(%q) found %.40q, want %.40q", name, record, want)
	}
	return err
}

func checkSet(ctx context.Context, a, b cache.Tier) error {
	if err := store(ctx, a, "name", "record"); err != nil {
		return err
	}
	return errors.Join(want(ctx, a, "name", "record"), want(ctx, b, "name", "record"))
}

func checkReject(ctx context.Context, a, b cache.Tier) error {
	if err := store(ctx, a, "name", "old"); err != nil {
		return err
	}
	calls := 0
	l, err := b.Get(ctx, "name", func([]byte) bool { calls++; return false })
	switch {
	case err != nil:
		return err
	case calls == 0:
		return errors.New("Get did not call use with the record")
	case l == "":
		return errors.New("Get granted no lease although use rejected the record")
	}
	if err := set(ctx, b, "name", l, "new"); err != nil {
		return err
	}
	return want(ctx, a, "name", "new")
}

func checkGivenBack(ctx context.Context, a, b cache.Tier) error {
	l, err := lease(ctx, a, "name")
	if err != nil {
		return err
	}
	if err := a.Set(ctx, cache.TierRecord{Name: "name", Lease: l, TTL: time.Hour}); err != nil {
		return err
	}
	return store(ctx, b, "name", "record")
}

func checkNeverGranted(ctx context.Context, a, b cache.Tier) error {
	if err := store(ctx, a, "another name", "record"); err != nil { // the storage exists
		return err
	}
	for _, l := range []string{"", "x", strings.Repeat("x", 32)} {
		if err := set(ctx, a, "name", l, "record"); err != nil {
			return err
		}
		if err := want(ctx, b, "name", ""); err != nil {
			return fmt.Errorf("after Set with the lease %q, which was never granted: %w", l, err)
		}
		// The Get has granted a lease: end it, or the next one would wait.
		if err := b.Delete(ctx, "name"); err != nil {
			return err
		}
	}
	return nil
}

func checkDelete(ctx context.Context, a, b cache.Tier) error {
	if err := store(ctx, a, "name", "record"); err != nil {
		return err
	}
	if err := errors.Join(b.Delete(ctx, "name"), b.Delete(ctx, "name")); err != nil {
		return fmt.Errorf("Delete: %w", err)
	}
	return store(ctx, a, "name", "new")
}

func checkDeleteEndsLeases(ctx context.Context, a, b cache.Tier) error {
	l, err := lease(ctx, a, "name")
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, "name"); err != nil {
		return err
	}
	if err := set(ctx, a, "name", l, "old"); err != nil {
		return fmt.Errorf("with a lease that Delete has ended: %w", err)
	}
	if err := want(ctx, b, "name", ""); err != nil {
		return fmt.Errorf("Set with a lease that Delete has ended: %w", err)
	}
	return nil
}

func checkOldLease(ctx context.Context, a, b cache.Tier) error {
	old, err := lease(ctx, a, "name")
	if err != nil {
		return err
	}
	if err := b.Delete(ctx, "name"); err != nil {
		return err
	}
	if err := store(ctx, b, "name", "new"); err != nil {
		return err
	}
	if err := set(ctx, a, "name", old, "old"); err != nil {
		return err
	}
	record, _, err := get(ctx, b, "name")
	if err == nil && string(record) == "old" {
		err = errors.New("a lease that Delete has ended replaced the record of a later one")
	}
	return err // the Tier may have lost the new record
}

// names returns different names that a Tier might confuse.
func names() []string {
	long := strings.Repeat("x", 199)
	return []string{"a", "A", "a ", "a\x00", "a\x00b", "a/b", "a/../b", "../b", "b", "{a}", "{a", "a}", "a*", "a%2fb", "a\n", "\xff\xfe", "é", long + "1", long + "2"}
}

func checkNames(ctx context.Context, a, b cache.Tier) error {
	for i, name := range names() {
		if err := store(ctx, a, name, fmt.Sprint("record ", i)); err != nil {
			return err
		}
	}
	for i, name := range names() {
		if err := want(ctx, b, name, fmt.Sprint("record ", i)); err != nil {
			return err
		}
	}
	return nil
}

func checkRecords(ctx context.Context, a, b cache.Tier) error {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for i, record := range []string{"\x00", string(every), strings.Repeat(string(every), 256)} {
		name := fmt.Sprint(i)
		if err := store(ctx, a, name, record); err != nil {
			return err
		}
		if err := want(ctx, b, name, record); err != nil {
			return err
		}
	}
	return nil
}

func checkTTL(ctx context.Context, a, b cache.Tier) error {
	for name, ttl := range map[string]time.Duration{"short": time.Millisecond, "forever": cache.Forever} {
		l, err := lease(ctx, a, name)
		if err != nil {
			return err
		}
		if err := a.Set(ctx, cache.TierRecord{Name: name, Lease: l, Record: []byte(name), TTL: ttl}); err != nil {
			return err
		}
	}
	for range 100 {
		time.Sleep(10 * time.Millisecond)
		if record, _, err := get(ctx, b, "short"); err != nil || record == nil {
			return errors.Join(err, want(ctx, b, "forever", "forever"))
		}
	}
	return errors.New("Get finds a record a second after its TTL of a millisecond")
}

func checkContext(ctx context.Context, a, _ cache.Tier) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	l, err := a.Get(ctx, "name", func([]byte) bool { return true })
	if err != nil && l != "" {
		return fmt.Errorf("Get returned the error %w together with a lease", err)
	}
	return nil
}

// checkWaiting checks a Get while another caller holds the lease. It may wait, but it
// must find the record or get a lease before its context ends.
func checkWaiting(ctx context.Context, a, b cache.Tier) error {
	l, err := lease(ctx, a, "name")
	if err != nil {
		return err
	}
	type result struct {
		record []byte
		lease  string
		err    error
	}
	results := make(chan result, 1)
	var returned, late atomic.Bool
	go func() {
		var r result
		r.lease, r.err = b.Get(ctx, "name", func(b []byte) bool {
			late.Store(late.Load() || returned.Load())
			r.record = bytes.Clone(b)
			return true
		})
		returned.Store(true)
		results <- r
	}()
	var r result
	select {
	case r = <-results:
	case <-time.After(20 * time.Millisecond): // it waits for the record
		if err := set(ctx, a, "name", l, "record"); err != nil {
			return err
		}
		r = <-results
	}
	switch {
	case r.err != nil:
		return fmt.Errorf("Get while another caller loads: %w", r.err)
	case r.lease == "" && string(r.record) != "record":
		return fmt.Errorf("Get while another caller loads found %q, and granted no lease", r.record)
	}
	if r.lease != "" {
		if err := b.Set(ctx, cache.TierRecord{Name: "name", Lease: r.lease, TTL: time.Hour}); err != nil {
			return err
		}
	}
	if late.Load() {
		return errors.New("Get called use after it had returned")
	}
	return nil
}

// checkConcurrency loads and deletes a few names from many goroutines. Records say which
// Delete was the last one before their load began.
func checkConcurrency(ctx context.Context, a, b cache.Tier) error {
	var began, ended [2]atomic.Int64 // Deletes of each name
	var mu [2]sync.Mutex             // one Delete of a name at a time
	var wg sync.WaitGroup
	faults := make(chan error, 100)
	report := func(err error) {
		if err != nil {
			select {
			case faults <- err:
			default:
			}
		}
	}
	for i := range 8 {
		tier := []cache.Tier{a, b}[i%2]
		wg.Go(func() {
			for j := range 100 {
				n := j % 2
				name := fmt.Sprint("name ", n)
				if i >= 6 {
					time.Sleep(100 * time.Microsecond)
					mu[n].Lock()
					version := began[n].Add(1)
					if err := tier.Delete(ctx, name); err != nil {
						report(err)
					} else {
						ended[n].Store(version)
					}
					mu[n].Unlock()
					continue
				}
				least := ended[n].Load()
				var found int64
				l, err := tier.Get(ctx, name, func(b []byte) bool {
					_, err := fmt.Sscan(string(b), &found)
					if err != nil {
						report(fmt.Errorf("Get found %q, which was never stored", b))
					} else if found < least {
						report(fmt.Errorf("Get found a record that was loaded before Delete %d, which had ended", least))
					}
					return true
				})
				report(err)
				if l != "" {
					version := began[n].Load() // a load begins after its lease was granted
					time.Sleep(100 * time.Microsecond)
					report(set(ctx, tier, name, l, fmt.Sprint(version)))
				}
			}
		})
	}
	wg.Wait()
	close(faults)
	return <-faults
}

func batches(a, b cache.Tier) (x, y cache.BatchTier, ok bool) {
	x, ok = a.(cache.BatchTier)
	if !ok {
		return nil, nil, false
	}
	y, ok = b.(cache.BatchTier)
	return x, y, ok
}

// getMany returns the records of names, and the leases.
func getMany(ctx context.Context, t cache.BatchTier, names []string) (records, leases []string, err error) {
	records = make([]string, len(names))
	leases, err = t.GetMany(ctx, names, func(i int, b []byte) bool {
		records[i] = string(b)
		return true
	})
	if err == nil && len(leases) != len(names) {
		err = fmt.Errorf("GetMany of %d names returned %d leases", len(names), len(leases))
	}
	return records, leases, err
}

func setMany(ctx context.Context, t cache.BatchTier, names, leases []string, record func(i int) string) error {
	var rs []cache.TierRecord
	for i, name := range names {
		rs = append(rs, cache.TierRecord{Name: name, Lease: leases[i], Record: []byte(record(i)), TTL: time.Hour})
	}
	return t.SetMany(ctx, rs)
}

func checkBatch(ctx context.Context, a, b cache.Tier) error {
	x, y, ok := batches(a, b)
	if !ok {
		return nil
	}
	record := func(i int) string { return fmt.Sprint("record ", i) }
	_, leases, err := getMany(ctx, x, names())
	if err != nil {
		return err
	}
	for i, l := range leases {
		if l == "" {
			return fmt.Errorf("GetMany found no record of %q and granted no lease", names()[i])
		}
	}
	if err := setMany(ctx, x, names(), leases, record); err != nil {
		return err
	}
	records, leases, err := getMany(ctx, y, names())
	if err != nil {
		return err
	}
	for i, r := range records {
		if r != record(i) || leases[i] != "" {
			return fmt.Errorf("GetMany found %q with the lease %q for %q, want %q", r, leases[i], names()[i], record(i))
		}
	}
	return want(ctx, y, "a", record(0))
}

func checkBatchDelete(ctx context.Context, a, b cache.Tier) error {
	x, y, ok := batches(a, b)
	if !ok {
		return nil
	}
	names := []string{"a", "b", "c"}
	if err := store(ctx, a, "a", "old"); err != nil {
		return err
	}
	_, leases, err := getMany(ctx, x, names[1:])
	if err != nil {
		return err
	}
	if err := y.DeleteMany(ctx, names); err != nil {
		return fmt.Errorf("DeleteMany: %w", err)
	}
	if err := setMany(ctx, x, names[1:], leases, func(int) string { return "old" }); err != nil {
		return err
	}
	for _, name := range names {
		if err := want(ctx, y, name, ""); err != nil {
			return fmt.Errorf("after DeleteMany: %w", err)
		}
	}
	return nil
}
