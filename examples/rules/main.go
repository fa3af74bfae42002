// Command rules is a function that computes discounts by a rules file, which lives in S3
// and is parsed once for each of its versions.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	if _, err := bucket(); err != nil { // before the first event: a wrong configuration shows at once
		log.Fatalf("rules: %v", err)
	}
	action.Run(handle)
}
