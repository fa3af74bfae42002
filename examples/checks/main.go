// Command checks is a function that reads scanned bank checks. It fetches the image
// from S3, runs an OCR program, compares the text with the customer's record and
// saves the result in a database.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	if _, err := configuration(); err != nil {
		log.Fatalf("checks: %v", err)
	}
	action.Run(handle)
}
