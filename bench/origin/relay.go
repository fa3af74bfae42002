package origin

import (
	"context"
	"io"
	"net"
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
	service
	target  string
	latency time.Duration
}

// StartRelay starts a relay to the database at target, host:port.
func StartRelay(target string, o RelayOptions) (*Relay, error) {
	r := &Relay{target: target, latency: orDefault(o.Latency, DefaultToll)}
	return r, r.start(r.serve)
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
