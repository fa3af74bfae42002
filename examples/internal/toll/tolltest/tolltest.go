// Package tolltest is a toll gate for tests. It answers at once and records the
// lines that it receives.
package tolltest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
)

// Gate is a toll gate on the loopback interface.
type Gate struct {
	answer   func(line string) string
	listener net.Listener
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	lines []string
	dials int
}

// New starts a gate. It panics on failure, as httptest.NewServer does.
func New() *Gate { return NewFunc(func(string) string { return "ok\n" }) }

// NewFunc starts a gate that sends the result of answer for each line. If the
// result is empty, it sends nothing.
func NewFunc(answer func(line string) string) *Gate {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Errorf("tolltest: %w", err))
	}
	g := &Gate{answer: answer, listener: l, conns: map[net.Conn]bool{}}
	g.serving.Go(g.accept)
	return g
}

// Addr returns the value for ORIGIN_TOLL.
func (g *Gate) Addr() string { return g.listener.Addr().String() }

// Lines returns the lines received so far.
func (g *Gate) Lines() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.lines...)
}

// Count returns the number of lines received so far.
func (g *Gate) Count() int { return len(g.Lines()) }

// Dials returns the number of connections made so far.
func (g *Gate) Dials() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.dials
}

// Break closes all connections, as they end in a long freeze.
func (g *Gate) Break() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		c.Close()
	}
}

// Close stops the gate.
func (g *Gate) Close() {
	g.listener.Close()
	g.Break()
	g.serving.Wait()
}

func (g *Gate) accept() {
	for {
		c, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.conns[c] = true
		g.dials++
		g.mu.Unlock()
		g.serving.Go(func() { g.serve(c) })
	}
}

func (g *Gate) serve(c net.Conn) {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.conns, c)
		c.Close()
	}()
	for lines := bufio.NewReader(c); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		g.mu.Lock()
		g.lines = append(g.lines, strings.TrimSuffix(line, "\n"))
		g.mu.Unlock()
		if _, err := io.WriteString(c, g.answer(line)); err != nil {
			return
		}
	}
}
