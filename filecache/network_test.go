package filecache_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/httpsource"
)

// network is a TCP proxy on the loopback interface in front of a server with one
// object.
type network struct {
	*http.Client
	object   []byte
	url      string
	requests atomic.Int64
	sent     atomic.Int64 // bytes from the server to the client

	mu   sync.Mutex
	n    int
	link func(n int) link // how the nth connection behaves, from 0 on
	ends []func()
}

// behave sets how connections behave.
func (n *network) behave(link func(n int) link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link = link
}

// link describes how a connection behaves. The zero link has no faults.
type link struct {
	cut  int64        // it is reset after that many bytes; zero: never
	rate int64        // bytes per second; zero: unlimited
	dead *atomic.Bool // if set, and true, all bytes are swallowed
}

func newNetwork(t *testing.T, size int) *network {
	t.Helper()
	n := &network{object: make([]byte, size)}
	rand.NewChaCha8([32]byte{3}).Read(n.object)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.requests.Add(1)
		w.Header().Set("ETag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(n.object))
	}))
	t.Cleanup(server.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10}
	n.Client, n.url = &http.Client{Transport: transport}, "http://"+listener.Addr().String()+"/object"
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { n.serve(client, server.Listener.Addr().String()) })
		}
	})
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		listener.Close()
		n.mu.Lock()
		for _, end := range n.ends {
			end()
		}
		n.mu.Unlock()
		all.Wait()
	})
	return n
}

// serve connects client and the server.
func (n *network) serve(client net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		return
	}
	end := func() {
		client.(*net.TCPConn).SetLinger(0)
		client.Close()
		server.Close()
	}
	n.mu.Lock()
	var l link
	if n.link != nil {
		l = n.link(n.n)
	}
	n.n++
	n.ends = append(n.ends, end)
	n.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { l.copy(server, client, nil, 0) })
	both.Go(func() {
		l.copy(client, server, &n.sent, l.cut)
		end()
	})
	both.Wait()
}

func (l link) copy(to, from net.Conn, sent *atomic.Int64, cut int64) {
	buf := make([]byte, 64<<10)
	if l.rate > 0 {
		buf = buf[:4<<10]
	}
	var total int64
	for {
		k, err := from.Read(buf)
		if l.dead != nil && l.dead.Load() {
			k = 0
		}
		if cut > 0 {
			k = int(min(int64(k), cut-total))
		}
		if _, werr := to.Write(buf[:k]); werr != nil || err != nil {
			to.(*net.TCPConn).CloseWrite()
			return
		}
		total += int64(k)
		if sent != nil {
			sent.Add(int64(k))
			if l.rate > 0 {
				time.Sleep(time.Duration(k) * time.Second / time.Duration(l.rate))
			}
		}
		if cut > 0 && total >= cut {
			return
		}
	}
}

func (n *network) source() filecache.Object { return httpsource.Source{Client: n.Client}.Object(n.url) }

// read reads obj in a new cache.
func (n *network) read(t *testing.T, obj filecache.Object, opts filecache.Options) (filecache.Stats, error) {
	t.Helper()
	opts.Dir = t.TempDir()
	c := filecache.Must(filecache.New(opts))
	b, err := c.ReadFile(t.Context(), obj)
	if err == nil && !bytes.Equal(b, n.object) {
		t.Error("wrong bytes")
	}
	return c.Stats(), err
}

// scale is the factor by which objects and parts are smaller here than in a real
// function, so that the tests are quick.
const scale = 4

const mib = 1 << 20 / scale

// All downloads succeed over connections that are reset after a sixth of the object on
// average, if each connection transfers something.
func TestConnectionsThatAreCut(t *testing.T) {
	for name, opts := range map[string]filecache.Options{
		"5 connections": {},
		"1 connection":  {Concurrency: 1},
		"SHA-256":       {},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, 96*mib)
			n.behave(func(int) link { return link{cut: 1 + int64(rand.ExpFloat64()*16*mib)} })
			obj := n.source()
			if name == "SHA-256" {
				obj = filecache.WithSHA256(obj, fmt.Sprintf("%x", sha256.Sum256(n.object)))
			}
			opts.PartSize = 8 * mib
			for range 8 {
				if s, err := n.read(t, obj, opts); err != nil {
					t.Errorf("%v: %+v", err, s)
				}
			}
		})
	}
}

// Another connection takes over a part on a slow one. How much is requested twice is not
// tested here: on a busy machine, a connection without CPU time looks slow.
func TestSlowConnection(t *testing.T) {
	for slow := range 5 {
		n := newNetwork(t, 64*mib)
		n.behave(func(i int) link {
			if i == slow {
				return link{rate: 300 << 10 / scale}
			}
			return link{}
		})
		began := time.Now()
		s, err := n.read(t, n.source(), filecache.Options{PartSize: 8 * mib})
		took := time.Since(began)
		if err != nil {
			t.Errorf("connection %d is slow: %v, %+v", slow, err, s)
		}
		began = time.Now()
		healthy := newNetwork(t, 64*mib)
		one, err := healthy.read(t, healthy.source(), filecache.Options{Concurrency: 1})
		if err != nil {
			t.Errorf("one connection: %v, %+v", err, one)
		}
		t.Logf("connection %d is slow: %v with %d requests, one connection that is not: %v", slow, took, s.Requests, time.Since(began))
	}
}

// After a freeze, kept connections may be dead without a sign of it.
func TestDeadConnections(t *testing.T) {
	for name, opts := range map[string]filecache.Options{
		"no copy":    {},
		"stale copy": {StaleIfError: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNetwork(t, 24*mib)
			var dead atomic.Bool
			before := 1 << 30
			n.behave(func(i int) link {
				if i >= before {
					return link{}
				}
				return link{dead: &dead}
			})
			opts.PartSize, opts.Dir = 8*mib, t.TempDir()
			c := filecache.Must(filecache.New(opts))
			if _, err := c.ReadFile(t.Context(), n.source()); err != nil {
				t.Fatal(err)
			}
			n.mu.Lock()
			before = n.n
			n.mu.Unlock()
			dead.Store(true) // earlier connections are dead, later ones are not
			if name == "no copy" {
				c.Clear()
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			b, err := c.ReadFile(ctx, n.source())
			if err != nil || !bytes.Equal(b, n.object) {
				t.Errorf("%d bytes, %v", len(b), err)
			}
			if s := c.Stats(); s.StaleServed != 0 || s.Misses+s.Revalidated != 2 {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		n := newNetwork(t, 24*mib)
		var dead atomic.Bool
		n.behave(func(int) link { return link{dead: &dead} })
		c := filecache.Must(filecache.New(filecache.Options{Dir: t.TempDir(), StaleIfError: time.Hour}))
		if _, err := c.ReadFile(t.Context(), n.source()); err != nil {
			t.Fatal(err)
		}
		dead.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		b, err := c.ReadFile(ctx, n.source())
		if err != nil || !bytes.Equal(b, n.object) || c.Stats().StaleServed != 1 {
			t.Errorf("%d bytes, %v, %+v", len(b), err, c.Stats())
		}
	})
}
