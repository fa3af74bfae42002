package origin

import (
	"bufio"
	"context"
	"errors"
	"net"
	"time"
)

const (
	// DefaultDatabase is the round trip of a short statement to a managed database in the same region.
	DefaultDatabase = 3 * time.Millisecond
	// MaxStatement is the longest line that a LatencyProxy accepts, including its newline.
	MaxStatement = 4 << 10
)

// A LatencyProxy adds the network to a database that has none: SQLite, which the function opens as a file. The
// function's driver sends each statement here first and waits for the answer. So the origin is as slow as a real one,
// and every statement is counted, whichever process sent it.
//
// The protocol, over TCP to [LatencyProxy.Addr]:
//
//   - The client sends one line for each statement: any text without a newline, then "\n"; at most [MaxStatement] bytes
//     with the newline. The proxy ignores the text: a client sends the statement, cut to fit.
//   - The proxy counts the line, waits for the latency, and answers "ok\n".
//   - A connection carries any number of lines, which are answered one after the other, as a database connection answers
//     its statements. Lines on different connections do not wait for each other.
//   - A longer line is answered "line too long\n", is not counted, and ends the connection.
type LatencyProxy struct {
	service
	latency time.Duration
}

// StartLatencyProxy starts a proxy on the loopback interface.
func StartLatencyProxy(latency time.Duration) (*LatencyProxy, error) {
	p := &LatencyProxy{latency: latency}
	return p, p.start(p.serve)
}

func (p *LatencyProxy) serve(conn net.Conn) {
	unblock := context.AfterFunc(p.ctx, func() { conn.Close() })
	defer unblock()
	defer conn.Close()
	for lines := bufio.NewReaderSize(conn, MaxStatement); ; {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			conn.Write([]byte("line too long\n"))
		}
		if err != nil {
			return
		}
		due := time.Now().Add(p.latency)
		p.add(Counts{Calls: 1, Bytes: int64(len(line))})
		if sleepUntil(p.ctx, due) != nil {
			return
		}
		if _, err := conn.Write([]byte("ok\n")); err != nil {
			return
		}
	}
}
