package action

import (
	"context"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// TenantOf is who an event is for that names a tenant itself, or names none (""):
// where Lambda functions have tenant isolation, the host's word, and not that of
// the event, which anybody may have written. On OpenWhisk a namespace may have
// many tenants: its name is for events that name none.
func TenantOf(ctx context.Context, named string) string {
	host := Tenant(ctx)
	if _, isolated := lambdacontext.FromContext(ctx); host != "" && (isolated || named == "") {
		return host
	}
	return named
}
