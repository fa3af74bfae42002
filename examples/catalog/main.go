// Command catalog is a function that tells the price of a product, with the
// database's answers cached in memory.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() { lambda.Start(handleLambda) }

// handleLambda believes the host about the tenant, where functions have tenant
// isolation, and not the event, which anybody may have written.
func handleLambda(ctx context.Context, in In) (Out, error) {
	if lc, ok := lambdacontext.FromContext(ctx); ok && lc.TenantID != "" {
		in.Tenant = lc.TenantID
	}
	return handle(ctx, in)
}
