package action

import (
	"bytes"
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

// object decodes an answer so that the launcher encodes it as it was.
func object(answer []byte) (o map[string]any) {
	d := json.NewDecoder(bytes.NewReader(answer))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		return map[string]any{"error": "action: the answer is an array, for which this form has no room"}
	}
	return o
}
