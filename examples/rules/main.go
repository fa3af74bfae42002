// Command rules is a function that computes discounts from a rules file in S3. Each
// version of the file is parsed once.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	if _, err := bucket(); err != nil { // fail on a wrong configuration before the first event
		log.Fatalf("rules: %v", err)
	}
	action.Run(handle)
}
