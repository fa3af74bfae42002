// Command model is a function that looks up prices in a table of 12 MiB, which
// lives in S3 and is kept in /tmp.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: Lambda gives the start of a process more CPU than
	// an invocation, and a wrong configuration shows at once.
	if _, err := bucket(); err != nil {
		log.Fatalf("model: %v", err)
	}
	action.Run(handle)
}
