// Command handler is an action in the form of action.Run.
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

func main() {
	action.Run(func(_ context.Context, i in) (out, error) { return out{i.Name}, nil })
}
