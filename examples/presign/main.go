// Command presign is a function that hands out URLs to S3 objects instead of
// their bytes.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	s, err := signerFromEnv()
	if err != nil {
		log.Fatalf("presign: %v", err)
	}
	action.Run(newService(s).handleFor)
}

// handleFor believes the host about the tenant, where it has a word on it, and
// not the event, which anybody may have written.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	if tenant := action.Tenant(ctx); tenant != "" {
		in.Tenant = tenant
	}
	return s.handle(ctx, in)
}
