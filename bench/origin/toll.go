package origin

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

const (
	// DefaultToll is the round trip of a short statement to a managed database in the same region.
	DefaultToll = 3 * time.Millisecond
	// MaxTollLine is the longest line that a toll gate takes, its newline included.
	MaxTollLine = 4 << 10
)

// TollOptions says how slow a Toll is. The zero value is a managed database in the same region.
type TollOptions struct {
	// Latency is the time from the arrival of a line to its answer. Default DefaultToll; negative: none.
	Latency time.Duration
}

// A Toll is the network between a function and its database, for a database that has none: SQLite, opened from a file
// by the function itself. The function's driver pays the toll before each statement. So the origin is as slow as a real
// one, and every statement is counted, whichever process sent it.
//
// The protocol, over TCP to [Toll.Addr]:
//
//   - The client sends one line for each statement: any text without a newline, then "\n"; at most [MaxTollLine] bytes
//     with the newline. The text is not looked at: a client sends the statement, cut to fit.
//   - The gate counts the line when it arrives, waits for the latency, and answers "ok\n".
//   - A connection carries any number of lines. They are answered in order, one after the other, as a database
//     connection answers its statements; lines on different connections do not wait for each other.
//   - A client that closes its side, or the sending half of it, has left: it gets no more answers.
//   - A longer line is answered "line too long\n", is not counted, and ends the connection.
type Toll struct {
	service
	latency time.Duration
}

// StartToll starts a toll gate on the loopback interface.
func StartToll(o TollOptions) (*Toll, error) {
	t := &Toll{latency: orDefault(o.Latency, DefaultToll)}
	return t, t.start(t.serve)
}

// serve reads and answers in two goroutines: a client that leaves while it waits is noticed at once.
func (t *Toll) serve(conn net.Conn) {
	ctx, leave := context.WithCancel(t.ctx)
	unblock := context.AfterFunc(ctx, func() { conn.Close() })
	defer unblock()
	defer conn.Close()

	arrivals := make(chan time.Time)
	t.active.Go(func() {
		defer leave()
		t.read(ctx, conn, arrivals)
	})
	defer leave()
	t.answer(ctx, conn, arrivals)
}

func (t *Toll) read(ctx context.Context, conn net.Conn, arrivals chan<- time.Time) {
	lines := bufio.NewReaderSize(conn, MaxTollLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			conn.Write([]byte("line too long\n"))
		}
		if err != nil {
			return
		}
		t.tally.add("", Counts{Calls: 1, Bytes: int64(len(line))})
		select {
		case arrivals <- time.Now():
		case <-ctx.Done():
			return
		}
	}
}

func (t *Toll) answer(ctx context.Context, conn net.Conn, arrivals <-chan time.Time) {
	free := time.Time{} // when the connection is free for the next statement
	for {
		select {
		case arrived := <-arrivals:
			if arrived.Before(free) {
				arrived = free
			}
			if sleepUntil(ctx, arrived.Add(t.latency)) != nil {
				return
			}
			if _, err := conn.Write([]byte("ok\n")); err != nil {
				return
			}
			free = time.Now()
		case <-ctx.Done():
			return
		}
	}
}
