package toll

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// conn is a connection to a gate, used by one statement at a time.
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
		// From now on, the deadline may be set at any time.
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

// idle are the connections that are not in use. They need no goroutine, so nothing
// runs while a container is frozen between invocations.
var idle pool

type pool struct {
	mu    sync.Mutex
	conns []*conn
}

// maxIdle is the number of idle connections to keep, enough for the usual
// concurrency.
const maxIdle = 64

// take returns the most recently used connection to addr, or nil.
func (p *pool) take(addr string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.conns) > 0 {
		c := p.conns[len(p.conns)-1]
		p.conns = p.conns[:len(p.conns)-1]
		if c.addr == addr {
			return c
		}
		c.Close() // connected to an earlier gate
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
