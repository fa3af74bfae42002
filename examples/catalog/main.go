// Command catalog is a function that tells the prices of products, with the
// database's answers cached in memory.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/warmcache/warmcache/examples/action"
)

func main() { action.Run(handleOnHost) }

// handleOnHost answers an HTTP request, or an event of the function's own. The tenant of
// the latter is the host's, where the host knows it.
func handleOnHost(ctx context.Context, event json.RawMessage) (any, error) {
	if r, ok := parseHTTP(ctx, event); ok {
		return serve(ctx, r), nil
	}
	var in In
	if len(event) > 0 {
		if err := json.Unmarshal(event, &in); err != nil {
			return nil, fmt.Errorf("catalog: decode the event: %w", err)
		}
	}
	in.Tenant = action.TenantOf(ctx, in.Tenant)
	return handle(ctx, in)
}
