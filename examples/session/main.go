// Command session is a function whose sessions live in a database and are read
// through a cache of seconds.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	store, err := openStore()
	if err != nil {
		log.Fatalf("session: %v", err)
	}
	action.Run(newService(store).handleFor)
}

// handleFor asks the host who the event is for, where the host knows.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
