package origin

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A Relay is a TCP proxy on the loopback interface in front of a database that speaks
// any protocol. It delays the first bytes of each answer until the round trip has
// taken its latency, and counts round trips and bytes. A round trip begins with the
// first bytes from the client after bytes from the database, so statements that are
// sent together count as one.
type Relay struct {
	service
	target  string
	latency time.Duration
}

// StartRelay starts a relay to the database at target, host:port.
func StartRelay(target string, latency time.Duration) (*Relay, error) {
	r := &Relay{target: target, latency: latency}
	return r, r.start(r.serve)
}

// serve ends when either side closes. If the database cannot be reached, it closes the
// client's connection.
func (r *Relay) serve(client net.Conn) {
	defer client.Close()
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var dialer net.Dialer
	database, err := dialer.DialContext(ctx, "tcp", r.target)
	if err != nil {
		return
	}
	unblock := context.AfterFunc(ctx, func() { client.Close(); database.Close() })
	defer unblock()
	var began atomic.Int64 // the round trip, in Unix nanoseconds; 0 between two of them
	r.active.Go(func() {
		defer cancel()
		r.pass(database, client, func() error {
			if began.CompareAndSwap(0, time.Now().UnixNano()) {
				r.add(Counts{Calls: 1})
			}
			return nil
		})
	})
	r.pass(client, database, func() error {
		if at := began.Swap(0); at != 0 {
			return sleepUntil(ctx, time.Unix(0, at).Add(r.latency))
		}
		return nil
	})
}

// pass copies, and calls before for each portion before it writes it.
func (r *Relay) pass(to io.Writer, from io.Reader, before func() error) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		r.add(Counts{Bytes: int64(n)})
		if n > 0 {
			if before() != nil {
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
