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

// handleFor asks the host who the event is for, where the host knows.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
