package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// RelayOptions says how slow a Relay is. The zero value is a managed database in the
// same region.
type RelayOptions struct {
	// Latency is what each round trip takes longer. Default DefaultToll; negative: none.
	Latency time.Duration
}

// A Relay is a TCP proxy on the loopback interface in front of a database that speaks
// any protocol. It holds back the first bytes of each answer, and counts round trips
// and bytes. A round trip begins with bytes from the client after bytes from the
// database: statements that are sent together are one.
type Relay struct {
	target   string
	latency  time.Duration
	listener net.Listener
	tally    tally
	ctx      context.Context // ends with the relay
	cancel   context.CancelFunc
	active   sync.WaitGroup
}

// StartRelay starts a relay to the database at target, host:port.
func StartRelay(target string, o RelayOptions) (*Relay, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("origin: start relay to %s: %w", target, err)
	}
	r := &Relay{target: target, latency: orDefault(o.Latency, DefaultToll), listener: listener}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.active.Go(func() { acceptAll(r.ctx, listener, func(c net.Conn) { r.active.Go(func() { r.serve(c) }) }) })
	return r, nil
}

// Addr returns the host:port to connect to.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Counts returns the round trips and bytes since the start.
func (r *Relay) Counts() Counts { return r.tally.total() }

// Close ends all connections and the relay.
func (r *Relay) Close() error {
	r.cancel()
	err := r.listener.Close()
	r.active.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("origin: close relay to %s: %w", r.target, err)
	}
	return nil
}

// serve ends with either side. A client whose database cannot be reached is hung up on.
func (r *Relay) serve(client net.Conn) {
	defer client.Close()
	ctx, leave := context.WithCancel(r.ctx)
	defer leave()
	var dialer net.Dialer
	database, err := dialer.DialContext(ctx, "tcp", r.target)
	if err != nil {
		return
	}
	unblock := context.AfterFunc(ctx, func() { client.Close(); database.Close() })
	defer unblock()
	var asked atomic.Int64 // when the round trip began, in Unix nanoseconds; 0 between two
	r.active.Go(func() {
		defer leave()
		r.pass(database, client, func(n int) error {
			if asked.CompareAndSwap(0, time.Now().UnixNano()) {
				r.tally.add("", Counts{Calls: 1})
			}
			return nil
		})
	})
	r.pass(client, database, func(int) error {
		if began := asked.Swap(0); began != 0 {
			return sleepUntil(ctx, time.Unix(0, began).Add(r.latency))
		}
		return nil
	})
}

// pass copies, and calls before with each portion before it is written.
func (r *Relay) pass(to io.Writer, from io.Reader, before func(n int) error) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if n > 0 {
			r.tally.add("", Counts{Bytes: int64(n)})
			if before(n) != nil {
				return
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
