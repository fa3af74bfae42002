package action

import (
	"context"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// TenantOf returns the tenant of an invocation, given the tenant in the event,
// which may be "". If a Lambda function has tenant isolation, the tenant of the
// host overrides the event, which anybody may have written. An OpenWhisk namespace
// may have many tenants, so its name is used only if the event has no tenant.
func TenantOf(ctx context.Context, named string) string {
	host := Tenant(ctx)
	if _, isolated := lambdacontext.FromContext(ctx); host != "" && (isolated || named == "") {
		return host
	}
	return named
}
