//go:build unix

package redistier

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// firewall is a network between a Tier and its server that can silently drop all
// connections.
type firewall struct {
	addr  string
	conns atomic.Int64 // so far
	lost  atomic.Int64 // those up to this number
}

func newFirewall(t *testing.T, s *server) *firewall {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &firewall{addr: l.Addr().String()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	wg.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(s.network(), s.addr)
			if err != nil {
				near.Close()
				continue
			}
			n := f.conns.Add(1)
			mu.Lock()
			open = append(open, near, far)
			mu.Unlock()
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				wg.Go(func() { f.pipe(n, pair[0], pair[1]) })
			}
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return f
}

func (f *firewall) pipe(n int64, from, to net.Conn) {
	b := make([]byte, 64<<10)
	for {
		got, err := from.Read(b)
		if f.lost.Load() >= n {
			if err != nil {
				return // and to stays open
			}
			continue
		}
		if err != nil {
			to.Close()
			return
		}
		to.Write(b[:got])
	}
}

// loseAll drops all present connections.
func (f *firewall) loseAll() { f.lost.Store(f.conns.Load()) }

// thawed is a Tier on a client with idle connections through a firewall.
type thawed struct {
	*Tier
	*firewall
	clocks *clocktest.Clocks // of the client
	client redis.UniversalClient
}

// withConnections returns a Tier that has had n concurrent calls.
func withConnections(t *testing.T, n int) thawed {
	t.Helper()
	s, clocks := startServer(t), clocktest.New()
	f := newFirewall(t, s)
	client := closed(t, connect(patientClient(f.addr), clocks.Clock()))
	c := client.(*redis.Client)
	for range n { // a connection that has been taken is not idle: each needs another one
		conn := c.Conn()
		if err := conn.Ping(background).Err(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		defer conn.Close()
	}
	tier := newTier(t, Options{Client: client, Timeout: 5 * time.Second, ConnectTimeout: time.Minute, Wait: -1})
	return thawed{tier, f, clocks, client}
}

// get makes a call and returns whether it failed.
func (th thawed) get(name string) bool {
	_, err := th.Get(background, name, func([]byte) bool { return true })
	return err != nil
}

// If any number of connections has died silently, one call fails: its timeout drops all
// others.
func TestTimeoutDropsIdleConnections(t *testing.T) {
	for _, n := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			th := withConnections(t, n)
			if got := th.client.PoolStats().IdleConns; got != uint32(n) {
				t.Fatalf("%d idle connections; want %d", got, n)
			}
			if th.get("a") {
				t.Fatal("the call before the freeze failed")
			}
			th.loseAll()
			failures := 0
			for th.get("b") {
				if failures++; failures > 100 {
					t.Fatal("the tier does not come back")
				}
				th.breaker("b").Success(th.Tier.clock.Now()) // instead of waiting until it lets the next call pass
			}
			if failures != 1 {
				t.Errorf("%d calls failed; want 1", failures)
			}
		})
	}
}

// No call fails if the clocks tell that the connections may be dead.
func TestIdleConnectionsAreNotUsedAfterAFreeze(t *testing.T) {
	for name, move := range map[string][2]time.Duration{
		"idle":                          {DefaultIdle, DefaultIdle},
		"frozen, both clocks went on":   {time.Hour, time.Hour},
		"frozen, monotonic clock stood": {maxClockGap, 0},
		"wall clock stood":              {0, maxClockGap},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th := withConnections(t, 16)
			if th.get("a") {
				t.Fatal("the call before the freeze failed")
			}
			th.loseAll()
			th.clocks.Move(move[0], move[1])
			for range 16 {
				if th.get("b") {
					t.Fatal(th.Stats().Last)
				}
			}
			if th.Stats().Failures != 0 {
				t.Errorf("Stats = %+v", th.Stats())
			}
		})
	}
}

// Connections that are alive are used again: after a short pause, and after a timeout
// if they have answered meanwhile.
func TestConnectionsAreKept(t *testing.T) {
	th := withConnections(t, 4)
	before := th.conns.Load()
	th.clocks.Move(DefaultIdle-1, DefaultIdle-1)
	th.clocks.Move(maxClockGap/2, 0)
	th.clocks.Move(-maxClockGap/2, 0)
	for range 10 {
		if th.get("a") {
			t.Fatal(th.Stats().Last)
		}
	}
	if got := th.conns.Load(); got != before {
		t.Errorf("%d new connections", got-before)
	}
	clk := th.clocks.Clock()
	p := &peer{suspects: -1}
	sent := clk.Now()
	th.clocks.Move(1, 1)
	alive := &conn{dialer: newDialer(nil, clock.Forever, clk), peer: p, answered: clk.Now()}
	silent := &conn{dialer: alive.dialer, peer: p, answered: sent}
	p.timedOut(sent)
	if alive.stale(clk.Now()) || !silent.stale(clk.Now()) {
		t.Errorf("stale: %v, %v; want false, true", alive.stale(clk.Now()), silent.stale(clk.Now()))
	}
}

// A call after a long pause has enough time to connect.
func TestConnectTimeoutAfterAPause(t *testing.T) {
	clocks, b := clocktest.New(), &breaker{}
	want := func(want bool) {
		t.Helper()
		if got := b.connected(clocks.Now()); got != want {
			t.Errorf("connected: %v; want %v", got, want)
		}
	}
	want(false)
	b.Success(clocks.Now())
	want(true)
	clocks.Move(DefaultIdle-1, 0)
	want(true)
	clocks.Move(1, 0)
	want(false)
}

// ConnMaxIdleTime and Dialer of the caller's own are kept.
func TestConnectKeepsOptions(t *testing.T) {
	clocks, dials := clocktest.New(), 0
	s := startServer(t)
	o := patientClient(s.addr)
	o.ConnMaxIdleTime = -1
	o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}
	c := closed(t, connect(o, clocks.Clock()))
	for range 3 {
		if err := c.Ping(background).Err(); err != nil {
			t.Fatal(err)
		}
		clocks.Move(time.Hour, time.Hour)
	}
	if dials != 1 || o.ConnMaxIdleTime != -1 {
		t.Errorf("%d dials, ConnMaxIdleTime %v", dials, o.ConnMaxIdleTime)
	}
}

// The pool cannot check TLS connections, but it drops stale ones.
func TestStaleTLSConnection(t *testing.T) {
	clocks := clocktest.New()
	d := newDialer(func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		far.Close()
		return tls.Client(near, &tls.Config{}), nil
	}, time.Minute, clocks.Clock())
	c, err := d.Dial(background, "tcp", "x")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(*conn).SyscallConn()
	if err != nil || raw.Read(func(uintptr) bool { t.Error("looked into"); return true }) != nil {
		t.Errorf("a new connection is refused: %v", err)
	}
	clocks.Move(time.Minute, 0)
	if _, err := c.(*conn).SyscallConn(); err != errStaleConn {
		t.Errorf("SyscallConn: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil || err == io.ErrNoProgress {
		t.Error("read from a closed connection")
	}
}
