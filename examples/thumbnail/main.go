// Command thumbnail is a function that makes thumbnails of images in S3.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	if _, err := bucket(); err != nil {
		log.Fatalf("thumbnail: %v", err)
	}
	action.Run(handleFor)
}

// handleFor gets the tenant from the host, if the host gives one.
func handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return handle(ctx, in)
}
