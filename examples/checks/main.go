// Command checks is a function that reads scanned bank checks: the image comes
// from S3, an OCR program reads it, and what it says is matched against the
// customer's record and kept in a database.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	if _, err := configuration(); err != nil {
		log.Fatalf("checks: %v", err)
	}
	action.Run(handle)
}
