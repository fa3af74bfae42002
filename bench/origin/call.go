package origin

import (
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

type (
	lineKey struct{}
	callKey struct{}
)

// call is one request on its way through a gate.
type call struct {
	gate     *Gate
	line     *line
	arrived  time.Time
	uploaded atomic.Int64 // nanoseconds from arrived to the last byte of the request's body so far
}

func (g *Gate) serve(w http.ResponseWriter, r *http.Request) {
	if !g.enter() {
		panic(http.ErrAbortHandler)
	}
	defer g.active.Done()
	c := &call{gate: g, line: r.Context().Value(lineKey{}).(*line), arrived: time.Now()}
	g.add(Counts{Calls: 1})

	ctx := context.WithValue(r.Context(), callKey{}, c)
	r = r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &upload{ReadCloser: r.Body, ctx: ctx, call: c}
	}
	g.proxy.ServeHTTP(&download{ResponseWriter: w, ctx: ctx, call: c}, r)
}

func (c *call) count(n int) {
	c.gate.add(Counts{Bytes: int64(n)})
}

// due returns when the first byte of the answer may leave.
func (c *call) due() time.Time {
	return c.arrived.Add(time.Duration(c.uploaded.Load()) + c.gate.options.FirstByte)
}

// holdFirstByte delays the origin's answer until it is due. Since the wait follows the request, the latency includes the
// origin's own time, as the published figures do.
func holdFirstByte(res *http.Response) error {
	ctx := res.Request.Context()
	return sleepUntil(ctx, ctx.Value(callKey{}).(*call).due())
}

// upload is a request's body.
type upload struct {
	io.ReadCloser
	ctx  context.Context
	call *call
}

func (u *upload) Read(p []byte) (int, error) {
	up := u.call.line.up
	n, err := u.ReadCloser.Read(p[:up.portion(len(p))])
	if n == 0 {
		return n, err
	}
	u.call.count(n)
	if waitErr := up.WaitN(u.ctx, n); waitErr != nil {
		return 0, waitErr
	}
	u.call.uploaded.Store(int64(time.Since(u.call.arrived)))
	return n, err
}

// download receives an answer's body.
type download struct {
	http.ResponseWriter
	ctx  context.Context
	call *call
}

// Unwrap lets the proxy flush.
func (d *download) Unwrap() http.ResponseWriter { return d.ResponseWriter }

func (d *download) Write(p []byte) (written int, err error) {
	for len(p) > 0 && err == nil {
		n := d.call.line.down.portion(len(p))
		n, err = d.writePortion(p[:n])
		written += n
		if p = p[n:]; len(p) > 0 && err == nil { // the proxy flushes after the last one
			err = http.NewResponseController(d.ResponseWriter).Flush()
		}
	}
	return written, err
}

// writePortion counts before it writes, so that the counts include each byte that the client has read.
func (d *download) writePortion(p []byte) (int, error) {
	if err := d.call.line.down.WaitN(d.ctx, len(p)); err != nil {
		return 0, err
	}
	d.call.count(len(p))
	n, err := d.ResponseWriter.Write(p)
	if n < len(p) {
		d.call.count(n - len(p))
	}
	return n, err
}

// bufferSize is large, because the system calls of small copies would take the CPU from the function under test.
const bufferSize = 256 << 10

type bufferPool struct{ sync.Pool }

var buffers = bufferPool{sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[bufferSize]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[bufferSize]byte)(b)) }
