// Command model is a function that looks up prices in a table of 12 MiB. The table
// is an S3 object, cached in /tmp.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Connect before the first event: Lambda gives the initialization of a process
	// more CPU than an invocation, and a wrong configuration fails at once.
	if _, err := bucket(); err != nil {
		log.Fatalf("model: %v", err)
	}
	action.Run(handle)
}
