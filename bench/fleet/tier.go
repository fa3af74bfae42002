package fleet

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/warmcache/warmcache/cache"
)

// stamp is the type of the cached values: the time at which their load began.
type stamp int64

var stampCodec = cache.Codec[stamp]{
	Encode: func(v stamp) ([]byte, error) { return binary.LittleEndian.AppendUint64(nil, uint64(v)), nil },
	Decode: func(b []byte) (stamp, error) {
		if len(b) != 8 {
			return 0, errors.New("not a stamp")
		}
		return stamp(binary.LittleEndian.Uint64(b)), nil
	},
}

// tier is the cache.Tier of a simulation: a server that never fails, and works like
// package redistier. A simulation does not delete keys.
type tier struct {
	sim    *simulation
	leases bool
	names  map[string]*name
	calls  int64
}

// name holds the record and the lease of a name.
type name struct {
	record []byte
	until  int64 // when the record expires
	lease  lease
}

// lease gives one container the right to load. Its Get is run to the end at once, so
// its record is known early; others must not use the record before its time.
type lease struct {
	until  int64
	stores int64  // when its record is stored; zero if there is none
	record []byte // may be nil
}

func (t *tier) name(s string) *name {
	n := t.names[s]
	if n == nil {
		n = &name{}
		t.names[s] = n
	}
	return n
}

// call advances the time of a call, which takes effect at its begin.
func (t *tier) call() {
	t.calls++
	t.sim.now += t.sim.Tier.draw(t.sim.rng)
}

// Get implements cache.Tier.
func (t *tier) Get(_ context.Context, s string, use func([]byte) bool) (string, error) {
	n, asked := t.name(s), t.sim.now
	t.call()
	if n.record != nil && asked < n.until && use(n.record) {
		return "", nil
	}
	if !t.leases || asked >= n.lease.until {
		return t.grant(n, asked), nil
	}
	return t.wait(n, asked, use), nil
}

// grant gives a lease that begins at that time.
func (t *tier) grant(n *name, at int64) string {
	n.lease = lease{until: at + int64(t.sim.Lease)}
	return "granted"
}

// wait waits until the record of another container's load is stored, or until its
// lease has expired and the caller may load, but no longer than LeaseWait.
func (t *tier) wait(n *name, asked int64, use func([]byte) bool) string {
	enough := asked + int64(t.sim.LeaseWait)
	if l := n.lease; l.stores != 0 && l.stores <= enough {
		t.sim.now = max(t.sim.now, l.stores)
		t.call()
		if use(l.record) {
			return ""
		}
		return t.grant(n, t.sim.now)
	}
	t.sim.now = max(t.sim.now, min(n.lease.until, enough))
	t.call()
	return t.grant(n, t.sim.now)
}

// Set implements cache.Tier. It stores the record at the end of the call.
func (t *tier) Set(_ context.Context, r cache.TierRecord) error {
	t.call()
	n, at := t.name(r.Name), t.sim.now
	if r.Record == nil {
		n.lease.until = min(n.lease.until, at)
		return nil
	}
	if t.leases && at < n.lease.until {
		n.lease.until, n.lease.stores, n.lease.record = at, at, r.Record
	}
	until := at + int64(min(r.TTL, longestRun))
	t.sim.events.push(at, func() { n.record, n.until = r.Record, until })
	return nil
}

// Delete implements cache.Tier.
func (t *tier) Delete(context.Context, string) error {
	return errors.New("fleet: the simulation does not support Delete")
}
