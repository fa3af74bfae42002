package filecache

import (
	"context"
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/warmcache/warmcache/internal/flight"
)

// prefetchers is the number of objects that Prefetch fetches at once.
const prefetchers = 4

// errExited reports that a method of an Object has called runtime.Goexit, as
// testing.T.FailNow does.
var errExited = errors.New("filecache.Prefetch: an Object called runtime.Goexit")

// Prefetch makes local copies of objects before they are needed, for example while a
// function initializes. It tries all objects and returns the first error. An object that
// could not be prefetched is fetched when it is opened. If an Object panics, so does
// Prefetch; if one calls runtime.Goexit, Prefetch returns an error.
func (c *Cache) Prefetch(ctx context.Context, objects ...Object) error {
	var g errgroup.Group
	var panicked atomic.Pointer[flight.PanicError]
	var exited atomic.Bool
	g.SetLimit(prefetchers)
	for _, obj := range objects {
		g.Go(func() error {
			returned := false
			defer func() {
				if returned {
					return
				}
				// Here a panic would end the process, and a Goexit would look like success.
				if p := flight.NewPanicError(recover()); p != nil {
					panicked.Store(p)
				} else {
					exited.Store(true)
				}
			}()
			f, err := c.Open(ctx, obj)
			if err == nil {
				err = f.Close()
			}
			returned = true
			return err
		})
	}
	err := g.Wait()
	if p := panicked.Load(); p != nil {
		panic(p)
	}
	if err == nil && exited.Load() {
		err = errExited
	}
	return err
}
