// Command catalog is a function that tells the prices of products, with the
// database's answers cached in memory.
package main

import (
	"context"

	"github.com/warmcache/warmcache/examples/action"
)

func main() { action.Run(handleOnHost) }

// handleOnHost asks the host who the event is for, where the host knows.
func handleOnHost(ctx context.Context, in In) (any, error) {
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return handle(ctx, in)
}
