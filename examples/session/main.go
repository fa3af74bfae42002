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

// handleFor believes the host about the tenant, where it has a word on it, and
// not the event, which anybody may have written.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	if tenant := action.Tenant(ctx); tenant != "" {
		in.Tenant = tenant
	}
	return s.handle(ctx, in)
}
