// Command thumbnail is a function that makes small copies of images in S3.
package main

import (
	"context"
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	if _, err := bucket(); err != nil {
		log.Fatalf("thumbnail: %v", err)
	}
	action.Run(handleFor)
}

// handleFor asks the host who the event is for, where the host knows.
func handleFor(ctx context.Context, in In) (Out, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return handle(ctx, in)
}
