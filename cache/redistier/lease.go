package redistier

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock"
)

// A name has three keys at the server: of the record, of the epoch, and of the lease.
// The braces put them into one slot of a cluster, even if the name has some: it does
// not begin with one.
//
// The container that loads holds the lease, which keeps others from loading for a short
// time. The epoch allows to set a record: all callers that missed since the last Delete
// share it, and Delete ends it. It is a random number, not a count: a server that has
// lost it, perhaps by eviction, can then only refuse too many records.
func (t *Tier) keys(name string) []string {
	record := t.record(name)
	return []string{record, record + "e", record + "l"}
}

func (t *Tier) record(name string) string { return t.opts.Prefix + "{" + name + "}" }

// epochTime is how long a load may take and still store its record: as long as an
// invocation.
const epochTime = 15 * time.Minute

// getFunction is GET for scripts. It removes a key that holds no string: another
// program made it, and all further calls about the name would fail.
const getFunction = `
local function get(key)
	local v = redis.pcall('GET', key)
	if type(v) ~= 'table' then return v end
	redis.call('DEL', key)
	return false
end`

// leaseScript returns the record, if it differs from the one that was seen; or the epoch,
// if the lease was granted, or is not needed; or nothing.
const leaseScript = getFunction + `
local r = get(KEYS[1])
if r and r ~= ARGV[4] then return {r} end
if ARGV[5] == '0' and not redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2])
	and get(KEYS[3]) ~= ARGV[1] then return {} end
local e = get(KEYS[2]) or ARGV[6]
redis.call('SET', KEYS[2], e, 'PX', ARGV[3])
return {e, '1'}`

// setScript sets the record, if the epoch is still that of the caller, and gives the
// lease back. A server that is full refuses the first write of a script; it would
// accept a later one.
const setScript = getFunction + `
local mine, good = get(KEYS[3]) == ARGV[2], get(KEYS[2]) == ARGV[1]
if good and ARGV[4] ~= '' then redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[3]) end
if good and (mine or ARGV[4] ~= '') then redis.call('DEL', KEYS[2]) end
if mine then redis.call('DEL', KEYS[3]) end
return 1`

// newEpoch is an argument with a new value each time it is sent. When a connection
// breaks, the client sends a command again, and the first one may still arrive, after a
// Delete: it must not restore the epoch that the Delete has ended.
type newEpoch struct{}

// MarshalBinary implements encoding.BinaryMarshaler, by which the client writes it.
func (newEpoch) MarshalBinary() ([]byte, error) { return []byte(newNonce()), nil }

// nonceSize is the size of the random part of epochs and leases.
const nonceSize = 16

// newNonce reads from the system each time: a snapshot of this process may run twice.
func newNonce() string {
	var b [nonceSize]byte
	rand.Read(b[:]) // never fails
	return string(b[:])
}

// leaseRequest is a name for which no usable record was found.
type leaseRequest struct {
	name  string
	nonce string
	seen  []byte // the record that was not usable
}

func (t *Tier) requestLease(ctx context.Context, c redis.Cmdable, q leaseRequest, anyway bool) *redis.Cmd {
	flag := "0"
	if anyway {
		flag = "1"
	}
	return c.Eval(ctx, leaseScript, t.keys(q.name), q.nonce, t.opts.Lease.Milliseconds(), epochTime.Milliseconds(), q.seen, flag, newEpoch{})
}

// reply returns the reply of leaseScript: a record, a lease, or neither.
func (q leaseRequest) reply(c *redis.Cmd) (record []byte, lease string, err error) {
	reply, err := c.StringSlice()
	switch {
	case err != nil:
		return nil, "", err
	case len(reply) == 1:
		return []byte(reply[0]), "", nil
	case len(reply) == 2 && len(reply[0]) == nonceSize:
		return nil, reply[0] + q.nonce, nil
	case len(reply) != 0:
		return nil, "", fmt.Errorf("redistier: the server replied to a script with %d parts, not 2", len(reply))
	}
	return nil, "", nil
}

func (t *Tier) set(ctx context.Context, c redis.Cmdable, r cache.TierRecord) *redis.Cmd {
	// A lease of another Tier is useless but harmless.
	split := min(nonceSize, len(r.Lease))
	return c.Eval(ctx, setScript, t.keys(r.Name), r.Lease[:split], r.Lease[split:], milliseconds(r.TTL), r.Record)
}

// longestTTL bounds the TTL of records that never change, since they may not be needed
// again.
const longestTTL = 30 * 24 * time.Hour

func milliseconds(ttl time.Duration) int64 {
	return max(1, min(ttl, longestTTL).Milliseconds())
}

// wait controls how long, and how often, a caller polls for the record that another one
// loads.
type wait struct {
	tier  *Tier
	began clock.Instant
	most  time.Duration
	pause time.Duration
}

const (
	firstPause = 2 * time.Millisecond
	longPause  = 100 * time.Millisecond
)

// newWait leaves time for one more call before ctx ends.
func (t *Tier) newWait(ctx context.Context) *wait {
	w := &wait{tier: t, began: t.clock.Now(), most: t.opts.Wait, pause: firstPause}
	if deadline, ok := ctx.Deadline(); ok {
		w.most = min(w.most, time.Until(deadline)-2*t.opts.Timeout)
	}
	return w
}

func (w *wait) over() bool {
	return w.most <= 0 || !w.began.Within(w.most, w.tier.clock.Now())
}

// sleep pauses, for somewhat longer each time, and returns early when ctx ends.
func (w *wait) sleep(ctx context.Context) {
	w.tier.stats.waits.Add(1)
	timer := time.NewTimer(w.pause/2 + mathrand.N(w.pause))
	defer timer.Stop()
	w.pause = min(2*w.pause, longPause)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
