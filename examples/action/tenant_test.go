package action

import (
	"context"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

func TestTenantOf(t *testing.T) {
	lambda := func(tenant string) context.Context {
		return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: tenant})
	}
	whisk, cancel := activation{fields: map[string]string{"namespace": "acme"}}.context()
	defer cancel()
	for _, test := range []struct {
		name        string
		ctx         context.Context
		event, want string
	}{
		{"no host", t.Context(), "blue", "blue"},
		{"no host", t.Context(), "", ""},
		{"Lambda", lambda(""), "blue", "blue"},
		{"Lambda", lambda(""), "", ""},
		{"Lambda with isolation", lambda("green"), "blue", "green"},
		{"Lambda with isolation", lambda("green"), "", "green"},
		{"OpenWhisk", whisk, "blue", "blue"},
		{"OpenWhisk", whisk, "", "acme"},
	} {
		if got := TenantOf(test.ctx, test.event); got != test.want {
			t.Errorf("%s, event %q: %q, want %q", test.name, test.event, got, test.want)
		}
	}
}
