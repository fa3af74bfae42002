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

// activation is what OpenWhisk tells about an event.
type activation struct {
	value  json.RawMessage
	fields map[string]string // the others, such as namespace and deadline
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

// scalar returns a text, or a number as text: OpenWhisk's own documentation has
// the deadline as a number, and its code as a text.
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

// activationInVariables is the activation of a process that OpenWhisk's own
// launcher has set the variables of.
func activationInVariables() activation {
	a := activation{fields: map[string]string{}}
	for _, name := range []string{"namespace", "activation_id", "deadline"} {
		a.fields[name] = os.Getenv(variable(name))
	}
	return a
}

// setVariables does what that launcher does, for code that looks for the
// activation there. Activations of a process follow one another.
func (a activation) setVariables() {
	for name, text := range a.fields {
		os.Setenv(variable(name), text)
	}
}

func variable(field string) string { return "__OW_" + strings.ToUpper(field) }

// context ends with the activation. OpenWhisk gives the deadline in milliseconds
// since 1970; without one there is none.
func (a activation) context() (context.Context, context.CancelFunc) {
	ctx := context.WithValue(context.Background(), activationKey{}, a)
	ms, err := strconv.ParseInt(a.fields["deadline"], 10, 64)
	if err != nil {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, time.UnixMilli(ms))
}

type activationKey struct{}

// Tenant is the host's word on who the invocation is for, "" if it gives none:
// on Lambda the tenant id, which functions in tenant isolation mode are given;
// on OpenWhisk the namespace that the action runs in. All users of a web action
// run in the namespace of its owner.
func Tenant(ctx context.Context) string {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return lc.TenantID
	}
	return field(ctx, "namespace")
}

// ID is the host's id of the invocation, "" if ctx is none of a host's. A retried
// event has the same id on Lambda.
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
