//go:build unix

package redistier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

// A server that is dead, hangs, is cut off, or does not speak Redis fails no caller,
// and is not called again after the first failures.
func TestFaultsAreNotTheCallers(t *testing.T) {
	for name, fault := range map[string]func(*testing.T) string{
		"dead":                     func(t *testing.T) string { return "127.0.0.1:" + freePort(t) },
		"no such socket":           func(t *testing.T) string { return t.TempDir() + "/none" },
		"stalled":                  func(t *testing.T) string { s := startServer(t); s.stop(); return s.addr },
		"accepts and says nothing": func(t *testing.T) string { return answers(t, "") },
		"hangs up":                 func(t *testing.T) string { return answers(t, "\x00") },
		"is a web server":          func(t *testing.T) string { return answers(t, "HTTP/1.1 400 Bad Request\r\n\r\n") },
		"cut off in an answer":     func(t *testing.T) string { return answers(t, "$1000\r\nabc") },
		"endless answer":           func(t *testing.T) string { return answers(t, strings.Repeat("x", 1<<20)) },
		"huge length":              func(t *testing.T) string { return answers(t, "$99999999999999\r\n") },
		"wrong type":               func(t *testing.T) string { return answers(t, ":1\r\n:1\r\n:1\r\n:1\r\n") },
		"wrong array":              func(t *testing.T) string { return answers(t, "*3\r\n:1\r\n:1\r\n:1\r\n") },
		"error":                    func(t *testing.T) string { return answers(t, "-LOADING still\r\n-LOADING\r\n-LOADING\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{fault(t)}}))
			tier := newTier(t, Options{Client: client, ConnectTimeout: 50 * time.Millisecond})
			o := &origin{}
			c := newCache(t, tier, o)
			for i := range 100 {
				key := fmt.Sprint(i)
				wantGet(t, c, key, fmt.Sprintf("%s v%d", key, i+1))
			}
			if r, err := c.GetMany(background, []string{"a", "b"}); err != nil || len(r) != 2 || !r[0].Found || !r[1].Found {
				t.Errorf("GetMany = %v, %v", r, err)
			}
			s, cs := tier.Stats(), c.Stats()
			if cs.TierErrors < 50 && cs.TierRejected == 0 {
				t.Errorf("not counted: %+v", cs)
			}
			if s.Failures == 0 || s.Skipped < 20*s.Failures/10 {
				t.Errorf("it was called again and again: %+v", s)
			}
			if err := c.Invalidate(background, "0"); err == nil {
				t.Error("Invalidate says that it has")
			}
		})
	}
}

// answers starts a server that sends a text to each new connection, and after each
// packet. A zero byte closes the connection.
func answers(t *testing.T, what string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	conns := make(chan net.Conn, 1000)
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
			wg.Go(func() {
				b := make([]byte, 4096)
				for {
					if _, err := conn.Read(b); err != nil || what == "\x00" {
						conn.Close()
						return
					}
					io.WriteString(conn, what)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		for len(conns) > 0 {
			(<-conns).Close()
		}
		wg.Wait()
	})
	return l.Addr().String()
}

// Garbage in the place of a record is a miss, and is replaced.
func TestGarbageRecords(t *testing.T) {
	s, o := startSocket(t), &origin{}
	tier := newTier(t, patient(s.client()))
	for i, garbage := range []string{"", "x", strings.Repeat("\x00", 1000), "wcr\x01" + strings.Repeat("y", 100)} {
		s.do("SET", "warmcache:{test/1:k}", garbage)
		want := fmt.Sprintf("k v%d", i+1)
		wantGet(t, newCache(t, tier, o), "k", want)
		wantGet(t, newCache(t, tier, o), "k", want)
	}
	s.do("DEL", "warmcache:{test/1:k}")
	s.do("LPUSH", "warmcache:{test/1:k}", "a list")
	wantGet(t, newCache(t, newTier(t, patient(s.client())), o), "k", "k v5")
	if last := tier.Stats().Last; last != nil {
		t.Error(last)
	}
}

// A full server refuses new records, but still returns old ones.
func TestFullServer(t *testing.T) {
	s, o := startSocket(t, "--maxmemory-policy", "noeviction"), &origin{}
	tier := newTier(t, patient(s.client()))
	wantGet(t, newCache(t, tier, o), "k", "k v1")
	s.do("CONFIG", "SET", "maxmemory", "1")
	c := newCache(t, tier, o)
	wantGet(t, c, "k", "k v1")
	wantGet(t, c, "l", "l v2")
	wantGet(t, c, "m", "m v3")
	if s, cs := tier.Stats(), c.Stats(); s.Skipped != 0 || cs.TierErrors != 2 || !strings.Contains(s.Last.Error(), "OOM") {
		t.Errorf("Stats = %+v, %+v", s, cs)
	}
	if err := c.Invalidate(background, "k"); err != nil {
		t.Error(err)
	}
	s.do("CONFIG", "SET", "maxmemory", "0")
	wantGet(t, c, "k", "k v4")
	wantGet(t, newCache(t, tier, o), "k", "k v4")
}

// If the server becomes full between a miss and the Set, no record is stored, and no
// caller waits.
func TestFullServerAtSet(t *testing.T) {
	s, o := startSocket(t, "--maxmemory-policy", "noeviction"), &origin{}
	tier := newTier(t, patient(s.client()))
	c := newCache(t, tier, o, func(opts *cache.Options[string, string]) {
		opts.Load = func(ctx context.Context, key string) (string, error) {
			s.do("CONFIG", "SET", "maxmemory", "1")
			return o.load(ctx, key)
		}
	})
	wantGet(t, c, "k", "k v1")
	wantGet(t, newCache(t, tier, o), "k", "k v2")
	if n := s.do("EXISTS", "warmcache:{test/1:k}"); n != int64(0) || tier.Stats().Waits != 0 {
		t.Errorf("%v records, %d waits", n, tier.Stats().Waits)
	}
}

// A server that evicts keys at random loses records, with no other effect.
func TestEvictingServer(t *testing.T) {
	s, o := startSocket(t, "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"), &origin{}
	tier := newTier(t, patient(s.client()))
	big := strings.Repeat("x", 10_000)
	load := func(o *cache.Options[string, string]) {
		o.Load = func(_ context.Context, key string) (string, error) { return key + big, nil }
	}
	for range 2 {
		c := newCache(t, tier, o, load)
		for i := range 400 {
			wantGet(t, c, fmt.Sprint(i), fmt.Sprint(i)+big)
		}
	}
	info := s.do("INFO", "stats").(string)
	if strings.Contains(info, "evicted_keys:0\r") {
		t.Error("nothing was evicted")
	}
}

// proxy is a network between a Tier and its server that can be cut.
type proxy struct {
	addr string
	cut  atomic.Bool // data is sent but does not arrive
	seen chan bool   // something was swallowed
}

func newProxy(t *testing.T, s *server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), seen: make(chan bool, 1000)}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	pipe := func(from, to net.Conn, swallow bool) {
		defer from.Close()
		defer to.Close()
		b := make([]byte, 64<<10)
		for {
			n, err := from.Read(b)
			if err != nil {
				return
			}
			if swallow && p.cut.Load() {
				p.seen <- true
				continue
			}
			to.Write(b[:n])
		}
	}
	wg.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial(s.network(), s.addr)
			if err != nil {
				a.Close()
				continue
			}
			mu.Lock()
			conns = append(conns, a, b)
			mu.Unlock()
			wg.Go(func() { pipe(a, b, false) })
			wg.Go(func() { pipe(b, a, true) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// The network is cut after the server has received a command, and before the answer
// arrives.
func TestPartitionInTheMiddleOfACall(t *testing.T) {
	s, o := startServer(t), &origin{}
	p := newProxy(t, s)
	through := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{p.addr}}))
	tier := newTier(t, Options{Client: through, Timeout: 5 * time.Second})
	tier.clock = clocktest.New().Clock() // an open breaker stays open until a call succeeds
	near := newTier(t, patient(s.client()))
	c := newCache(t, tier, o)
	wantGet(t, c, "k", "k v1")

	p.cut.Store(true)
	wantGet(t, c, "l", "l v2")
	<-p.seen
	p.cut.Store(false)
	if err := c.Invalidate(background, "x"); err != nil { // Invalidate calls the server in any case
		t.Error(err)
	}
	wantGet(t, newCache(t, tier, o), "k", "k v1") // and the Tier works again

	p.cut.Store(true)
	if err := c.Invalidate(background, "k"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Invalidate: %v", err)
	}
	<-p.seen
	p.cut.Store(false)
	wantGet(t, c, "k", "k v3")                    // not the record that it found there before
	wantGet(t, newCache(t, near, o), "k", "k v4") // the server received the Delete
	c.Invalidate(background, "x")
	wantGet(t, newCache(t, tier, o), "k", "k v4")
}

// The same happens to a record that is set, and the answer is lost.
func TestPartitionAtSet(t *testing.T) {
	s, o := startServer(t), &origin{}
	p := newProxy(t, s)
	through := closed(t, Connect(&redis.UniversalOptions{Addrs: []string{p.addr}}))
	tier := newTier(t, Options{Client: through, Timeout: 5 * time.Second})
	near := newTier(t, patient(s.client()))
	c := newCache(t, tier, o, func(opts *cache.Options[string, string]) {
		opts.Load = func(ctx context.Context, key string) (string, error) {
			p.cut.Store(true)
			return o.load(ctx, key)
		}
	})
	wantGet(t, c, "k", "k v1")
	if c.Stats().TierErrors != 1 {
		t.Fatalf("Stats = %+v", c.Stats())
	}
	<-p.seen
	wantGet(t, newCache(t, near, o), "k", "k v1")
}

// A server is stopped, killed, restarted and flushed. Containers never serve a value
// that was replaced longer than TTL ago, and after an Invalidate that succeeded, new
// containers get no older record from the server.
func TestChaos(t *testing.T) {
	const ttl, skew = 300 * time.Millisecond, time.Millisecond
	s := startServer(t)
	w := &history{written: []time.Time{time.Now()}}
	c := s.client()
	newContainer := func() *cache.Cache[string, int] {
		tier := newTier(t, Options{Client: c, Timeout: 20 * time.Millisecond, Lease: 20 * time.Millisecond, Wait: 50 * time.Millisecond})
		return cache.Must(cache.New(cache.Options[string, int]{
			Load: w.read, TTL: ttl, Tier: tier, Namespace: "n", Codec: cache.JSON[int](), ClockSkew: skew,
		}))
	}
	var hits, deletes atomic.Int64
	began := time.Now()
	over := func() bool { // after 4 seconds, or later if a busy machine has had no hit or Delete by then
		d := time.Since(began)
		return d > 4*time.Second && hits.Load() > 0 && deletes.Load() > 0 || d > 2*time.Minute
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for !over() {
				c := newContainer()
				for range rand.IntN(20) {
					w.check(t, ttl, func() (int, error) { return c.Get(background, "k") })
					if rand.IntN(10) == 0 {
						w.write()
						if c.Invalidate(background, "k") == nil {
							deletes.Add(1)
							w.check(t, 0, func() (int, error) { return c.Get(background, "k") })
						}
					}
					time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
				}
				hits.Add(c.Stats().TierHits)
			}
		})
	}
	for !over() {
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		switch rand.IntN(3) {
		case 0:
			s.stop()
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			s.cont()
		case 1:
			s.kill()
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond)
			s.start()
		case 2:
			c.FlushAll(background)
		}
	}
	wg.Wait()
	if hits.Load() == 0 || deletes.Load() == 0 {
		t.Errorf("%d hits, %d deletes: nothing was tried", hits.Load(), deletes.Load())
	}
}

// history is a value at the origin that is replaced now and then.
type history struct {
	mu      sync.Mutex
	written []time.Time // of each version
}

func (h *history) write() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.written = append(h.written, time.Now())
}

func (h *history) read(context.Context, string) (int, error) {
	h.mu.Lock()
	version := len(h.written) - 1
	h.mu.Unlock()
	time.Sleep(time.Duration(rand.IntN(10)) * time.Millisecond)
	return version, nil
}

// check checks that get returns a value that was current at most bound before the call,
// or since.
func (h *history) check(t *testing.T, bound time.Duration, get func() (int, error)) {
	asked := time.Now()
	version, err := get()
	if err != nil {
		t.Errorf("Get: %v", err)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if next := version + 1; next < len(h.written) && h.written[next].Before(asked.Add(-bound)) {
		t.Errorf("Get returned a value that was replaced %v before; the bound is %v", asked.Sub(h.written[next]), bound)
	}
}
