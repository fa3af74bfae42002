package transfer

import (
	"io"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// dstError is an error of the destination.
type dstError struct{ error }

func (e dstError) Unwrap() error { return e.error }

// pump moves the rest of a part from src past its sum to dst.
func (t *transfer) pump(to *part, src io.Reader, saw func(bytes int)) error {
	buf := blocks.GetBuffer()
	defer blocks.PutBuffer(buf)
	for done := to.sum.Done(); done < to.length; done = to.sum.Done() {
		p := (*buf)[:min(int64(len(*buf)), to.length-done)]
		n, err := fill(src, p)
		// The bytes that have arrived are kept, so another connection can go on from there.
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

// fill is io.ReadFull, but tells the end from an unexpected one also after some bytes.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}
