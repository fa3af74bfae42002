// Command compiled is an action that OpenWhisk compiles from source. It has no main
// function: OpenWhisk adds one, and so does launcher.go for the test.
package main

import (
	"context"

	"github.com/warmcache/warmcache/examples/action"
)

type in struct {
	Name string `json:"name"`
}

type out struct {
	Hello string `json:"hello"`
}

// Main is the action.
var Main = action.Main(func(_ context.Context, i in) (out, error) { return out{i.Name}, nil })
