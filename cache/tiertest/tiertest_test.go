package tiertest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// memory is a small BatchTier, with a fault for each check.
type memory struct {
	fault string

	mu      sync.Mutex
	records map[string]stored
	leases  map[string]map[string]bool // of a name
	granted int
}

type stored struct {
	record []byte
	until  time.Time // zero: forever
}

func newMemory(fault string) *memory {
	return &memory{fault: fault, records: map[string]stored{}, leases: map[string]map[string]bool{}}
}

// key returns the name, or with a fault one that others share.
func (m *memory) key(name string) string {
	if m.fault == "Names" {
		return strings.ToLower(name)
	}
	return name
}

func (m *memory) Get(ctx context.Context, name string, use func([]byte) bool) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		if m.fault == "ContextEnds" {
			return "lease", err
		}
		return "", err
	}
	name = m.key(name)
	if m.fault == "Waiting" && m.granted > 0 { // even if there is a record by now
		return "", nil
	}
	if s, ok := m.records[name]; ok && (s.until.IsZero() || time.Now().Before(s.until) || m.fault == "TTL") {
		if use(s.record) || m.fault == "UseRejects" {
			return "", nil
		}
	}
	if m.fault == "LeaseGivenBack" && len(m.leases[name]) > 0 {
		return "", errors.New("another caller loads")
	}
	if m.leases[name] == nil {
		m.leases[name] = map[string]bool{}
	}
	m.granted++
	lease := fmt.Sprint("lease ", m.granted)
	m.leases[name][lease] = true
	return lease, nil
}

func (m *memory) Set(_ context.Context, r cache.TierRecord) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := m.key(r.Name)
	valid := m.leases[name][r.Lease]
	switch m.fault {
	case "LeaseNeverGranted":
		valid = true
	case "DeleteEndsLeases", "Concurrency":
		valid = strings.HasPrefix(r.Lease, "lease ")
	case "OldLeaseAfterNew":
		valid = valid || strings.HasPrefix(r.Lease, "lease ") && len(m.records) > 0
	case "Set":
		valid = false
	}
	if m.fault != "LeaseGivenBack" {
		delete(m.leases[name], r.Lease)
	}
	if !valid || r.Record == nil {
		return nil
	}
	s := stored{record: r.Record}
	if r.TTL != cache.Forever {
		s.until = time.Now().Add(r.TTL)
	}
	if m.fault == "Records" {
		s.record = s.record[:min(len(s.record), 1000)]
	}
	m.records[name] = s
	return nil
}

func (m *memory) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fault != "Delete" {
		delete(m.records, m.key(name))
	}
	delete(m.leases, m.key(name))
	return nil
}

func (m *memory) GetMany(ctx context.Context, names []string, use func(int, []byte) bool) (leases []string, err error) {
	for i, name := range names {
		lease, e := m.Get(ctx, name, func(b []byte) bool { return use(i, b) })
		leases, err = append(leases, lease), errors.Join(err, e)
	}
	return leases, err
}

func (m *memory) SetMany(ctx context.Context, records []cache.TierRecord) (err error) {
	for i, r := range records {
		if m.fault == "BatchSet" {
			r.Record = records[len(records)-1-i].Record
		}
		err = errors.Join(err, m.Set(ctx, r))
	}
	return err
}

func (m *memory) DeleteMany(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		err = errors.Join(err, m.Delete(ctx, name))
		if m.fault == "BatchDelete" {
			return err
		}
	}
	return err
}

var _ cache.BatchTier = (*memory)(nil)

func TestMemory(t *testing.T) {
	Test(t, func(*testing.T) (a, b cache.Tier) {
		m := newMemory("")
		return m, m
	})
}

// plain is a Tier without batches.
type plain struct{ cache.Tier }

func TestPlain(t *testing.T) {
	Test(t, func(*testing.T) (a, b cache.Tier) {
		m := plain{newMemory("")}
		return m, m
	})
}

// Each check finds a Tier with the fault of its name.
func TestChecksFindFaults(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			m := newMemory(c.name)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if c.run(ctx, m, m) == nil {
				t.Error("no fault was found")
			}
		})
	}
}
