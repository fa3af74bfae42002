// Command dbjson is a function that counts votes in a database, which a file
// db.json cannot do safely.
package main

import (
	"context"
	"log"
	"os"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	votes, err := openDatabase(os.Getenv("VOTES_DB"))
	if err != nil {
		log.Fatalf("dbjson: %v", err)
	}
	action.Run(newService(votes).handleFor)
}

// handleFor gets the tenant from the host, if the host gives one.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
