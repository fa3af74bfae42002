package transfer

import (
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// dstError wraps an error of the destination.
type dstError struct{ error }

func (e dstError) Unwrap() error { return e.error }

// pump copies the rest of a part from src to dst and adds it to the part's sum.
func (t *transfer) pump(to *part, src io.Reader, saw func(bytes int)) error {
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for done := to.sum.Done(); done < to.length; done = to.sum.Done() {
		p := (*buf)[:min(int64(len(*buf)), to.length-done)]
		n, err := fill(src, p)
		// Received bytes are kept, so another connection can continue after them.
		if n > 0 {
			if _, err := t.dst.WriteAt(p[:n], to.off+done); err != nil {
				return dstError{err}
			}
			to.sum.Write(p[:n])
			saw(n)
		}
		switch {
		case err == io.EOF && t.Size < 0:
			return nil
		case err == io.EOF:
			return io.ErrUnexpectedEOF
		case err != nil:
			return err
		}
	}
	return nil
}

// fill is like io.ReadFull, but returns io.EOF even after some bytes.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}
