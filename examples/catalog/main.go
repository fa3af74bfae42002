// Command catalog is a function that returns the prices of products. It caches the
// rows of the database in memory.
package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/warmcache/warmcache/examples/action"
)

func main() { action.Run(handleOnHost) }

// handleOnHost answers an HTTP request or a direct event. The tenant of a direct
// event comes from the host, if the host gives one.
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
