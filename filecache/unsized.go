package filecache

import (
	"bytes"
	"io"
)

// receiveUnsized receives an object of unknown size, by way of memory.
func (d *download) receiveUnsized(resp *Response) (source, error) {
	defer resp.Body.Close()
	if !d.cache.memory.take(maxInMemory) {
		return source{}, errNoRoom
	}
	defer d.cache.memory.give(maxInMemory)
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(resp.Body, maxInMemory+1))
	if err == nil && n > maxInMemory {
		err = errNoRoom
	}
	if err != nil {
		return source{}, err
	}
	sized := *resp
	sized.Size, sized.Body = n, io.NopCloser(&b)
	return d.receive(&sized, 1)
}
