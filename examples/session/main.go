// Command session is a function that keeps sessions in a database and reads them
// through a cache with a TTL of seconds.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	store, err := openStore()
	if err != nil {
		log.Fatalf("session: %v", err)
	}
	action.Run(newService(store).handleFor)
}

// handleFor gets the tenant from the host, if the host gives one.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
