// Command classic is an action in OpenWhisk's classic form, with the main function
// that makes it a program.
package main

import "github.com/warmcache/warmcache/examples/action"

func main() { action.RunMain(Main) }

// Main is the action.
func Main(parameters map[string]any) map[string]any {
	return map[string]any{"hello": parameters["name"]}
}
