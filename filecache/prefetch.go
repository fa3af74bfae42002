package filecache

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// prefetchers is how many objects Prefetch fetches at a time.
const prefetchers = 4

// Prefetch makes local copies of objects before they are needed, such as while a
// function initialises. It returns when all have been tried, with the first error:
// one that fails does not hold up the others. What could not be prefetched is
// fetched when it is opened.
func (c *Cache) Prefetch(ctx context.Context, objects ...Object) error {
	var g errgroup.Group
	g.SetLimit(prefetchers)
	for _, obj := range objects {
		g.Go(func() error {
			f, err := c.Open(ctx, obj)
			if err != nil {
				return err
			}
			return f.Close()
		})
	}
	return g.Wait()
}
