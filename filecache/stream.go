package filecache

import (
	"context"
	"io"
	"sync"
)

// A stream reads a derived object that fits neither on disk nor in memory. The object
// is made while it is read; a read that goes backwards makes it again from the start.
type stream struct {
	cache *Cache
	ctx   context.Context // of Open
	obj   Object
	object

	mu   sync.Mutex
	body io.ReadCloser // nil before the first read and after an error
	at   int64         // the offset of the next byte of body
}

// streamed returns a source that reads a derived object as a stream. It makes the
// object once to count its bytes.
func (d *download) streamed(src source) (source, error) {
	resp, err := d.fetch(Request{IfMatch: src.etag})
	if err != nil {
		return source{}, err
	}
	defer resp.Body.Close()
	if src.size, err = io.Copy(io.Discard, resp.Body); err != nil {
		return source{}, err
	}
	d.cache.stats.uncached.Add(1)
	return src, nil
}

// ReadAt fills p from off; both are within the object.
func (s *stream) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.seek(off)
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.body, p)
	if s.at += int64(n); err != nil {
		s.end()
	}
	if err == io.EOF { // the caller would treat it as the end of the object
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// seek moves the stream to off. The caller holds mu.
func (s *stream) seek(off int64) error {
	if s.body != nil && s.at > off {
		s.end()
	}
	if s.body == nil {
		resp, err := s.cache.fetch(s.ctx, s.obj, Request{IfMatch: s.etag})
		if err != nil {
			return err
		}
		s.body, s.at = resp.Body, 0
	}
	n, err := io.CopyN(io.Discard, s.body, off-s.at)
	if s.at += n; err != nil {
		s.end()
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (s *stream) end() {
	s.body.Close()
	s.body = nil
}

func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.body != nil {
		s.end()
	}
	return nil
}
