package transfer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/crc64nvme"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/filecache/internal/transfer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A network serves one object of random bytes.
type network struct {
	object []byte
	// dial returns the behavior of the nth connection, counted from 0. Nil means that
	// all work. It is called under mu.
	dial func(n int, r request) conn

	mu       sync.Mutex
	requests []request
	sent     atomic.Int64
	open     atomic.Int64
}

type request struct {
	off, length int64
	fresh       bool
}

// conn describes the behavior of a connection.
type conn struct {
	err    error         // of the request
	after  time.Duration // until the answer
	rate   int64         // bytes per second; zero: unlimited
	cut    int64         // bytes until it breaks; zero: never; negative: before the first
	hang   int64         // bytes until it falls silent; zero: never; negative: before the first
	silent bool          // no response arrives
	panics bool          // Close panics if ctx is done
	empty  bool          // Read always returns 0, nil
}

var errReset = errors.New("connection reset by peer")

func newNetwork(size int) *network {
	n := &network{object: make([]byte, size)}
	rand.NewChaCha8([32]byte{7}).Read(n.object)
	return n
}

func (n *network) get(ctx context.Context, r request) (io.ReadCloser, error) {
	n.mu.Lock()
	i := len(n.requests)
	n.requests = append(n.requests, r)
	var c conn
	if n.dial != nil {
		c = n.dial(i, r)
	}
	n.mu.Unlock()
	if c.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if c.after > 0 {
		select {
		case <-time.After(c.after):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	end := int64(len(n.object))
	if r.length > 0 {
		end = r.off + r.length
	}
	n.open.Add(1)
	return &answer{network: n, conn: c, ctx: ctx, rest: n.object[r.off:end], closed: make(chan struct{})}, nil
}

// answer is the body of one response.
type answer struct {
	network *network
	conn
	ctx    context.Context
	rest   []byte
	sent   int64
	closed chan struct{}
	once   sync.Once
}

func (a *answer) Read(p []byte) (int, error) {
	switch {
	case a.empty:
		return 0, nil
	case len(a.rest) == 0:
		return 0, io.EOF
	}
	p = p[:min(len(p), 32<<10)]
	for _, bound := range []struct {
		at int64
		do func() error
	}{{a.cut, func() error { return errReset }}, {a.hang, a.wait}} {
		if bound.at == 0 {
			continue
		}
		left := max(0, bound.at) - a.sent
		if left <= 0 {
			return 0, bound.do()
		}
		p = p[:min(int64(len(p)), left)]
	}
	if a.rate > 0 {
		select {
		case <-time.After(time.Duration(len(p)) * time.Second / time.Duration(a.rate)):
		case <-a.closed:
			return 0, errors.New("read of a closed body")
		}
	}
	k := copy(p, a.rest)
	a.rest = a.rest[k:]
	a.sent += int64(k)
	a.network.sent.Add(int64(k))
	return k, nil
}

func (a *answer) wait() error {
	<-a.closed
	return errors.New("read of a closed body")
}

func (a *answer) Close() error {
	a.once.Do(func() {
		close(a.closed)
		a.network.open.Add(-1)
	})
	if a.panics && a.ctx.Err() != nil {
		panic("in Close")
	}
	return nil
}

// version returns the Version of the network's object.
func (n *network) version() transfer.Version {
	return transfer.Version{Size: int64(len(n.object)), Part: func(ctx context.Context, off, length int64, fresh bool) (io.ReadCloser, error) {
		return n.get(ctx, request{off, length, fresh})
	}}
}

// file is the destination of a transfer.
type file []byte

func (f file) WriteAt(p []byte, off int64) (int, error) { return copy(f[off:], p), nil }

// download is a transfer that can be interrupted and resumed.
type download struct {
	*network
	file  file
	parts *transfer.Parts
	opts  transfer.Options
}

// mib stands for 1 MiB. All sizes are divided by eight to keep the tests quick.
const mib = 1 << 17

const partSize = 8 * mib

// newDownload returns a download over that many connections, or one that is verified in
// order.
func (n *network) newDownload(connections int, inOrder bool) *download {
	d := &download{network: n, file: make(file, len(n.object))}
	d.opts = transfer.Options{Connections: connections, Patience: transfer.Patience{GiveUp: time.Minute}}
	size := int64(partSize)
	if connections == 1 || inOrder {
		size = int64(len(n.object))
	}
	d.parts = transfer.NewParts(n.version(), nil, size)
	return d
}

// receive continues the download, starting with a plain response.
func (d *download) receive(ctx context.Context) error {
	off, end := d.parts.Next()
	first, err := d.get(ctx, request{off: off, length: end - off})
	if err != nil {
		return err
	}
	return transfer.Receive(ctx, d.version(), transfer.Answer{Body: first, Off: off, End: end}, d.file, d.parts, d.opts)
}

// want receives the object and compares it.
func (d *download) want(t *testing.T) {
	t.Helper()
	if err := d.receive(t.Context()); err != nil {
		t.Error(err)
		return
	}
	d.wantWhole(t)
}

func (d *download) wantWhole(t *testing.T) {
	t.Helper()
	sum := d.parts.Digest()
	if !bytes.Equal(d.file, d.object) || sum.Whole() != crc64nvme.Checksum(d.object) || sum.Done() != int64(len(d.object)) {
		t.Error("the bytes or the checksum are wrong")
	}
	if n := d.open.Load(); n != 0 {
		t.Errorf("%d bodies are open", n)
	}
}

// settings are the configurations in which each fault is tested.
var settings = []struct {
	name        string
	connections int
	inOrder     bool
}{{"5 connections", 5, false}, {"1 connection", 1, false}, {"5 connections in order", 5, true}}

// A download succeeds however often its connections break, if each delivers some bytes.
func TestConnectionsThatBreak(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(1, 2))
				for range 4 {
					n := newNetwork(48 * mib)
					n.dial = func(int, request) conn { return conn{cut: 1 + int64(random.ExpFloat64()*2*mib), rate: 90 * mib} }
					n.newDownload(s.connections, s.inOrder).want(t)
					if sent := n.sent.Load(); sent > 49*mib {
						t.Errorf("%d bytes were sent for %d", sent, len(n.object))
					}
				}
			})
		})
	}
}

// Consecutive attempts without a byte are bounded in number and rate.
func TestAttemptsWithoutProgress(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(48 * mib)
				n.dial = func(i int, r request) conn {
					if i == 0 {
						return conn{cut: 1 * mib}
					}
					return conn{cut: -1}
				}
				began := time.Now()
				if err := n.newDownload(s.connections, s.inOrder).receive(t.Context()); !errors.Is(err, errReset) {
					t.Errorf("err = %v", err)
				}
				if d := time.Since(began); d < 300*time.Millisecond || d > 3*time.Second || len(n.requests) > 4*5+1 {
					t.Errorf("%d requests in %v", len(n.requests), d)
				}
			})
		})
	}
}

// An origin that sends a few bytes per answer does not get requests as fast as it can
// answer.
func TestAttemptsWithLittleProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(400 << 10)
		n.dial = func(int, request) conn { return conn{cut: 1 << 10} }
		began := time.Now()
		n.newDownload(1, false).want(t)
		if d := time.Since(began); d < time.Minute {
			t.Errorf("%d requests in %v", len(n.requests), d)
		}
	})
}

// A connection that falls silent is replaced by a new one.
func TestConnectionsThatStall(t *testing.T) {
	for _, s := range settings {
		for _, hang := range []int64{-1, 1 * mib, 7 * mib} {
			for _, which := range []string{"first", "second", "all old ones"} {
				t.Run(fmt.Sprintf("%s/%s after %d", s.name, which, hang), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := newNetwork(48 * mib)
						n.dial = func(i int, r request) conn {
							hangs := map[string]bool{"first": i == 0, "second": i == 1, "all old ones": !r.fresh}[which]
							if hangs {
								return conn{hang: hang, silent: hang < 0 && i > 0}
							}
							return conn{rate: 90 * mib}
						}
						began := time.Now()
						n.newDownload(s.connections, s.inOrder).want(t)
						if d := time.Since(began); d > 30*time.Second {
							t.Errorf("it took %v", d)
						}
					})
				})
			}
		}
	}
}

// If the origin is silent on all connections, the transfer fails. It fails earlier if the
// caller has a deadline soon.
func TestStall(t *testing.T) {
	for _, s := range settings {
		for _, left := range []time.Duration{0, 2 * time.Second, time.Hour} {
			t.Run(fmt.Sprintf("%s/%v", s.name, left), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := newNetwork(48 * mib)
					n.dial = func(i int, r request) conn { return conn{hang: 6 * mib, silent: i > 0} }
					d := n.newDownload(s.connections, s.inOrder)
					d.opts.Patience.GiveUp = 4500 * time.Millisecond
					if left > 0 {
						d.opts.Patience.Deadline = time.Now().Add(left)
					}
					began := time.Now()
					err := d.receive(t.Context())
					if !errors.Is(err, transfer.ErrStalled) {
						t.Errorf("err = %v", err)
					}
					took := time.Since(began)
					if took > 5*time.Second || left == 2*time.Second && took > 1600*time.Millisecond {
						t.Errorf("it took %v", took)
					}
					if !slices.ContainsFunc(n.requests, func(r request) bool { return r.fresh }) {
						t.Error("no new connection was requested")
					}
				})
			})
		}
	}
}

// The part of a slow connection is requested again. On a healthy network none is.
func TestStraggler(t *testing.T) {
	const rate = 90 * mib
	// took downloads 64 MiB with one slow connection, or with none if slow is negative.
	took := func(t *testing.T, connections, slow int) (time.Duration, *network) {
		n := newNetwork(64 * mib)
		n.dial = func(i int, r request) conn {
			c := conn{after: 30 * time.Millisecond, rate: rate}
			if i == slow {
				c.rate = 300 * mib / 1024
			}
			return c
		}
		began := time.Now()
		n.newDownload(connections, false).want(t)
		return time.Since(began), n
	}
	synctest.Test(t, func(t *testing.T) {
		alone, _ := took(t, 1, -1)
		healthy, n := took(t, 5, -1)
		if len(n.requests) > 8 || n.sent.Load() != 64*mib {
			t.Errorf("%d requests, %d bytes on a healthy network", len(n.requests), n.sent.Load())
		}
		t.Logf("one connection: %v; five: %v", alone, healthy)
		for slow := range 5 {
			d, n := took(t, 5, slow)
			t.Logf("connection %d is slow: %v, %d requests, %d bytes", slow, d, len(n.requests), n.sent.Load())
			if d > alone*3/2 {
				t.Errorf("connection %d is slow: %v, want at most 1.5 times %v", slow, d, alone)
			}
			if extra := n.sent.Load() - 64*mib; extra > 1*mib {
				t.Errorf("%d bytes came twice", extra)
			}
		}
	})
}

// Normal differences in speed do not cause renewals.
func TestUnevenConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for range 20 {
			n := newNetwork(64 * mib)
			n.dial = func(int, request) conn {
				return conn{
					after: time.Duration(20+random.IntN(60)) * time.Millisecond,
					rate:  int64(40+random.IntN(80)) * mib,
				}
			}
			n.newDownload(5, false).want(t)
			if len(n.requests) > 8 || n.sent.Load() != 64*mib {
				t.Errorf("%d requests, %d bytes", len(n.requests), n.sent.Load())
			}
		}
	})
}

// If all connections are equally slow, nothing is requested twice.
func TestSlowNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(64 * mib)
		n.dial = func(int, request) conn { return conn{after: time.Second, rate: 100 * mib / 1024} }
		n.newDownload(5, false).want(t)
		if len(n.requests) > 8 {
			t.Errorf("%d requests", len(n.requests))
		}
	})
}

// An interrupted transfer resumes at its last byte.
func TestInterruptedTransfer(t *testing.T) {
	for _, s := range settings {
		t.Run(s.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(48 * mib)
				n.dial = func(int, request) conn { return conn{after: 10 * time.Millisecond, rate: 6 * mib} }
				d := n.newDownload(s.connections, s.inOrder)
				times := 0
				for err := errors.New("not yet"); err != nil && times < 100; times++ {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					if err = d.receive(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Fatal(err)
					}
					cancel()
				}
				d.wantWhole(t)
				if sent := n.sent.Load(); times < 2 || sent > 49*mib {
					t.Errorf("%d bytes in %d times", sent, times)
				}
			})
		})
	}
}

// Bodies that violate io.Reader's contract end the transfer with an error. They neither
// crash the process nor cause a busy loop.
func TestBodiesThatBreakTheRules(t *testing.T) {
	t.Run("Read returns nothing for ever", func(t *testing.T) {
		for _, s := range settings {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(48 * mib)
				n.dial = func(int, request) conn { return conn{empty: true} }
				if err := n.newDownload(s.connections, s.inOrder).receive(t.Context()); !errors.Is(err, io.ErrNoProgress) {
					t.Errorf("err = %v", err)
				}
			})
		}
	})
	t.Run("Close panics after a cancel", func(t *testing.T) {
		for _, s := range settings {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(48 * mib)
				n.dial = func(int, request) conn { return conn{hang: 1 * mib, panics: true} }
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				defer func() {
					if recover() == nil {
						t.Error("the panic of Close was not passed on")
					}
				}()
				n.newDownload(s.connections, s.inOrder).receive(ctx)
			})
		}
	})
}

// An object of unknown size ends where its body does.
func TestUnknownSize(t *testing.T) {
	for _, size := range []int{0, 1, 3*mib + 5} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(size)
			parts := transfer.NewParts(transfer.Version{Size: -1}, nil, 1)
			first, err := n.get(t.Context(), request{})
			if err != nil {
				t.Fatal(err)
			}
			to := make(file, size)
			err = transfer.Receive(t.Context(), transfer.Version{Size: -1}, transfer.Answer{Body: first, End: blocks.MaxObject}, to, parts, transfer.Options{})
			if err != nil || !bytes.Equal(to, n.object) || parts.Digest().Done() != int64(size) {
				t.Errorf("%d bytes of %d, %v", parts.Digest().Done(), size, err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(3 * mib)
		n.dial = func(int, request) conn { return conn{cut: 1*mib + 7} }
		parts := transfer.NewParts(transfer.Version{Size: -1}, nil, 1)
		first, _ := n.get(t.Context(), request{})
		err := transfer.Receive(t.Context(), transfer.Version{Size: -1}, transfer.Answer{Body: first, End: blocks.MaxObject}, make(file, 3*mib), parts, transfer.Options{})
		if !errors.Is(err, errReset) {
			t.Errorf("a broken body ended with %v", err)
		}
	})
}
