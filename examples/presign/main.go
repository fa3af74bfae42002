// Command presign is a function that returns presigned URLs of S3 objects instead
// of their bytes.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	s, err := signerFromEnv()
	if err != nil {
		log.Fatalf("presign: %v", err)
	}
	action.Run(newService(s).handleFor)
}

// handleFor gets the tenant and user from the host, if the host gives them.
func (s *service) handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return s.handle(ctx, in)
}
