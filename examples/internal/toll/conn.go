package toll

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// conn is a connection to a gate, for one statement at a time.
type conn struct {
	net.Conn
	addr    string
	answers *bufio.Reader
}

func dial(ctx context.Context, addr string) (*conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{c, addr, bufio.NewReaderSize(c, 64)}, nil
}

// pay sends line and waits for the answer. Afterwards c is idle or closed.
func (c *conn) pay(ctx context.Context, line string) error {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	err := c.exchange(line)
	if !stop() {
		// The deadline may be set at any time from now on.
		c.Close()
		return ctx.Err()
	}
	if err != nil {
		c.Close()
		return err
	}
	idle.put(c)
	return nil
}

func (c *conn) exchange(line string) error {
	if _, err := c.Write([]byte(line)); err != nil {
		return err
	}
	answer, err := c.answers.ReadSlice('\n')
	if err == nil && string(answer) != "ok\n" {
		err = fmt.Errorf("the gate says %q", answer)
	}
	return err
}

// idle are the connections that nobody uses at the moment. An idle one has no
// goroutine: a container that is frozen between invocations has nothing running.
var idle pool

type pool struct {
	mu    sync.Mutex
	conns []*conn
}

// maxIdle is how many connections are kept: as many as there were concurrent
// callers, within reason.
const maxIdle = 64

// take returns the connection to addr that was used last, nil if there is none.
func (p *pool) take(addr string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) > 0 {
		c := p.conns[len(p.conns)-1]
		p.conns = p.conns[:len(p.conns)-1]
		if c.addr == addr {
			return c
		}
		c.Close() // to the gate of another time
	}
	return nil
}

func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) == maxIdle {
		c.Close()
		return
	}
	p.conns = append(p.conns, c)
}
