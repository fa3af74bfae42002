package redistier

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/clock"
)

// DefaultIdle is how long a connection of Connect may be idle before it is replaced.
// AWS silently drops the state of a connection that was idle for 350 seconds.
const DefaultIdle = time.Minute

// maxClockGap is how far the wall and the monotonic clock may move apart before the
// process counts as frozen. Time servers step the wall clock by less.
const maxClockGap = time.Second

// errStaleConn tells the client's pool to close an idle connection. No caller sees it.
var errStaleConn = errors.New("redistier: the connection may be dead")

// A dialFunc is the Dialer of redis.Options.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer makes connections that the client's pool does not use again if they may be
// dead. After a freeze, peers and firewalls may have forgotten all connections of the
// pool. The pool itself notices a dead one only when a call on it times out, which costs
// one failed call for each.
type dialer struct {
	dial    dialFunc
	clock   *clock.Clock
	maxIdle time.Duration // clock.Forever: no limit

	mu    sync.Mutex
	peers map[string]*peer
}

// peer is the state that all connections to one address share.
type peer struct {
	mu       sync.Mutex
	suspects int64 // monotonic time; connections without an answer since then may be dead
}

func newDialer(dial dialFunc, maxIdle time.Duration, c *clock.Clock) *dialer {
	return &dialer{dial: dial, clock: c, maxIdle: maxIdle, peers: map[string]*peer{}}
}

// Dial is the Dialer of the client.
func (d *dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := d.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	now := d.clock.Now()
	return &conn{Conn: c, dialer: d, peer: d.peer(addr), sent: now, answered: now}, nil
}

func (d *dialer) peer(addr string) *peer {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peers[addr]
	if p == nil {
		p = &peer{suspects: -1}
		d.peers[addr] = p
	}
	return p
}

// timedOut marks all connections that have not answered since the call that timed out
// was sent. Those that have are proof that the server lives, and are kept.
func (p *peer) timedOut(sent clock.Instant) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.suspects = max(p.suspects, sent.Mono)
}

func (p *peer) suspect(answered clock.Instant) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return answered.Mono <= p.suspects
}

// conn is a connection that records when it last answered. Like any connection of
// the pool, it has one user at a time.
type conn struct {
	net.Conn
	dialer *dialer
	peer   *peer

	sent     clock.Instant // the last write
	answered clock.Instant // the last read, or when it was made
}

func (c *conn) Write(b []byte) (int, error) {
	c.sent = c.dialer.clock.Now()
	n, err := c.Conn.Write(b)
	c.note(err)
	return n, err
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.answered = c.dialer.clock.Now()
	}
	c.note(err)
	return n, err
}

func (c *conn) note(err error) {
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		c.peer.timedOut(c.sent)
	}
}

// SyscallConn implements syscall.Conn. The pool calls it each time that it takes an idle
// connection, and closes the connection on an error.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	if c.stale(c.dialer.clock.Now()) {
		return nil, errStaleConn
	}
	if sc, ok := c.Conn.(syscall.Conn); ok {
		return sc.SyscallConn()
	}
	return unchecked{}, nil
}

// stale reports whether c was idle for too long or through a freeze, or a call on another
// connection timed out meanwhile.
func (c *conn) stale(now clock.Instant) bool {
	passed, counted := now.Wall-c.answered.Wall, now.Mono-c.answered.Mono
	gap := time.Duration(max(passed-counted, counted-passed))
	return !c.answered.Within(c.dialer.maxIdle, now) || gap >= maxClockGap || c.peer.suspect(c.answered)
}

// unchecked is the syscall.RawConn of a TLS connection. It hides the socket from
// the pool's health check, which therefore always succeeds.
type unchecked struct{}

func (unchecked) Control(func(uintptr)) error    { return nil }
func (unchecked) Read(func(uintptr) bool) error  { return nil }
func (unchecked) Write(func(uintptr) bool) error { return nil }
