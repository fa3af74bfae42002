package filecache

import (
	"context"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/internal/flight"
)

// prefetchers is how many objects Prefetch fetches at a time.
const prefetchers = 4

// Prefetch makes local copies of objects before they are needed, such as while a
// function initialises. It returns when all have been tried, with the first error:
// one that fails does not hold up the others. What could not be prefetched is
// fetched when it is opened. If an Object panics, so does Prefetch.
func (c *Cache) Prefetch(ctx context.Context, objects ...Object) error {
	var g errgroup.Group
	var panicked atomic.Pointer[flight.PanicError]
	g.SetLimit(prefetchers)
	for _, obj := range objects {
		g.Go(func() error {
			defer func() { // it would end the process from here
				if p := flight.NewPanicError(recover()); p != nil {
					panicked.Store(p)
				}
			}()
			f, err := c.Open(ctx, obj)
			if err != nil {
				return err
			}
			return f.Close()
		})
	}
	err := g.Wait()
	if p := panicked.Load(); p != nil {
		panic(p)
	}
	return err
}
