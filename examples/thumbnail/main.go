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

// handleFor believes the host about the tenant, where it has a word on it, and
// not the event, which anybody may have written.
func handleFor(ctx context.Context, in In) (Out, error) {
	if tenant := action.Tenant(ctx); tenant != "" {
		in.Tenant = tenant
	}
	return handle(ctx, in)
}
