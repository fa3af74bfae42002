// Command dbjson is a function that counts votes in a database, as a file db.json
// cannot.
package main

import (
	"context"
	"log"
	"os"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	votes, err := openDatabase(os.Getenv("VOTES_DB"))
	if err != nil {
		log.Fatalf("dbjson: %v", err)
	}
	action.Run(newService(votes).handleFor)
}

// handleFor asks the host who the event is for, where the host knows.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
