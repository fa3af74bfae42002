package action

import (
	"bytes"
	"context"
	"encoding/json"
)

// Main returns handler in the form that OpenWhisk's runtime for Go compiles from
// source, together with its own launcher:
//
//	package main
//
//	var Main = action.Main(handle)
//
// The context is made from the variables that the launcher sets. Numbers in the
// event have passed through a float64, so integers are exact up to 2^53.
func Main[In, Out any](handler Handler[In, Out]) func(map[string]any) map[string]any {
	answer := call(handler)
	return func(parameters map[string]any) map[string]any {
		ctx, cancel := activationInVariables().context()
		defer cancel()
		event, err := encode(parameters)
		if err != nil {
			return object(failure(err)) // an answer that cannot come from JSON
		}
		return object(answer(ctx, event))
	}
}

// RunMain serves an action in the classic form of OpenWhisk's Go runtime, a func
// Main, as a separate program:
//
//	func main() { action.RunMain(Main) }
//
//	func Main(parameters map[string]any) map[string]any { ... }
//
// Main may use other types that encoding/json can decode and encode. As with
// OpenWhisk's launcher, the activation is in the variables __OW_..., and an answer
// with a member "error" is a failure. On Lambda such an answer is an ordinary one.
func RunMain[In, Out any](main func(In) Out) {
	Run(func(_ context.Context, in In) (Out, error) { return main(in), nil })
}

// object decodes an answer without loss, so that the launcher encodes the same
// JSON.
func object(answer []byte) (o map[string]any) {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return map[string]any{"error": "action: the answer is an array, for which this form has no room"}
	}
	return o
}
