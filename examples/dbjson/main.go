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

// handleFor believes the host about the tenant, where it has a word on it, and
// not the event, which anybody may have written.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	if tenant := action.Tenant(ctx); tenant != "" {
		in.Tenant = tenant
	}
	return s.handle(ctx, in)
}
