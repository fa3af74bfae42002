// Command catalog is a function that tells the prices of products, with the
// database's answers cached in memory.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/warmcache/warmcache/examples/action"
)

func main() { action.Run(handleOnHost) }

func handleOnHost(ctx context.Context, in In) (any, error) {
	in.Tenant = tenant(ctx, in)
	return handle(ctx, in)
}

// tenant says whose catalog it is. Where Lambda functions have tenant isolation,
// the host knows, and the event, which anybody may have written, is not asked. On
// OpenWhisk a namespace may have many tenants: its name is for events that name
// none.
func tenant(ctx context.Context, in In) string {
	host := action.Tenant(ctx)
	_, isolated := lambdacontext.FromContext(ctx)
	if host != "" && (isolated || in.Tenant == "") {
		return host
	}
	return in.Tenant
}
