package action

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
)

// activation is an event with the metadata that OpenWhisk sends.
type activation struct {
	value  json.RawMessage
	fields map[string]string // the other fields, such as namespace and deadline
}

func parseActivation(line []byte) (activation, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return activation{}, fmt.Errorf("action: not an activation: %w", err)
	}
	a := activation{value: members["value"], fields: map[string]string{}}
	for name, m := range members {
		if text, ok := scalar(m); ok && name != "value" {
			a.fields[name] = text
		}
	}
	return a, nil
}

// scalar decodes a string, or a number as a string. In OpenWhisk's documentation
// the deadline is a number, and in its code a string.
func scalar(m json.RawMessage) (text string, ok bool) {
	var v any
	d := json.NewDecoder(bytes.NewReader(m))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return "", false
	}
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	}
	return "", false
}

// activationInVariables returns the activation of a process whose variables
// OpenWhisk's launcher has set.
func activationInVariables() activation {
	a := activation{fields: map[string]string{}}
	for _, name := range []string{"namespace", "activation_id", "deadline"} {
		a.fields[name] = os.Getenv(variable(name))
	}
	return a
}

// setVariables sets the variables that the launcher would set, for code that reads
// the activation from them. The activations of a process run one after another.
func (a activation) setVariables() {
	for name, text := range a.fields {
		os.Setenv(variable(name), text)
	}
}

func variable(field string) string { return "__OW_" + strings.ToUpper(field) }

// context returns a context that ends at the deadline, if there is one. OpenWhisk
// sends it in milliseconds since 1970.
func (a activation) context() (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.Background(), activationKey{}, a)
	ms, err := strconv.ParseInt(a.fields["deadline"], 10, 64)
	if err != nil {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, time.UnixMilli(ms))
}

type activationKey struct{}

// Tenant returns the tenant of the invocation according to the host, or "" if the
// host gives none. On Lambda it is the tenant id, which only functions in tenant
// isolation mode have. On OpenWhisk it is the namespace in which the action runs:
// all users of a web action run in the namespace of its owner.
func Tenant(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.TenantID
	}
	return field(ctx, "namespace")
}

// ID returns the host's id of the invocation, or "" if ctx does not come from a
// host. On Lambda, a retried event has the same id.
func ID(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.AwsRequestID
	}
	return field(ctx, "activation_id")
}

func field(ctx context.Context, name string) string {
	a, _ := ctx.Value(activationKey{}).(activation)
	return a.fields[name]
}
