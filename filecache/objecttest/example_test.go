package objecttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/objecttest"
)

// prices is an Object that ignores Request.IfNoneMatch.
type prices string

func (prices) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://models", Name: "prices-eu.bin"}, nil
}

func (p prices) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	const etag = `"v1"`
	if req.IfMatch != "" && req.IfMatch != etag {
		return nil, filecache.ErrChanged
	}
	size := int64(len(p))
	end := size
	if req.Length > 0 {
		end = min(size, req.Offset+req.Length)
	}
	if req.Offset > end {
		return nil, errors.New("the range begins past the end")
	}
	return &filecache.Response{Body: io.NopCloser(strings.NewReader(string(p[req.Offset:end]))), Size: size, ETag: etag}, nil
}

func ExampleTestObject() {
	const content = "lamp 1999, chair 4999"
	err := objecttest.TestObject(context.Background(), prices(content), objecttest.Origin{Content: []byte(content)})
	fmt.Println(err)
	// Output:
	// objecttest: never revalidates: Fetch with the current ETag as IfNoneMatch sent 21 bytes, want a Response with NotModified
	// objecttest: never revalidates: through a Cache, two calls of ReadFile downloaded the object 2 times
}
