package action

import (
	"bytes"
	"context"
	"encoding/json"
)

// Main returns handler in the form that OpenWhisk's runtime for Go compiles from
// source and puts its own launcher around:
//
//	package main
//
//	var Main = action.Main(handle)
//
// The context is made of what that launcher puts into the environment. Numbers
// in the event have passed through a float64: whole ones are exact up to 2^53.
func Main[In, Out any](handler Handler[In, Out]) func(map[string]any) map[string]any {
	answer := call(handler)
	return func(parameters map[string]any) map[string]any {
		ctx, cancel := activationInVariables().context()
		defer cancel()
		event, err := encode(parameters)
		if err != nil {
			return object(failure(err)) // nothing that came from JSON
		}
		return object(answer(ctx, event))
	}
}

// RunMain serves an action in the classic form of OpenWhisk's Go runtime, its
// func Main, as a program of its own:
//
//	func main() { action.RunMain(Main) }
//
//	func Main(parameters map[string]any) map[string]any { ... }
//
// Main may have other types that encoding/json can decode and encode. As under
// OpenWhisk's launcher, it finds its activation in the variables __OW_..., and an
// answer with a member "error" is a failure. On Lambda it is an answer like others.
func RunMain[In, Out any](main func(In) Out) {
	Run(func(_ context.Context, in In) (Out, error) { return main(in), nil })
}

// object decodes an answer so that the launcher encodes it as it was.
func object(answer []byte) (o map[string]any) {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return map[string]any{"error": "action: the answer is an array, for which this form has no room"}
	}
	return o
}
