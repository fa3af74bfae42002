// Command secret is a function that calls an API with a password from AWS Secrets
// Manager or from SSM Parameter Store. The password is cached in memory and reloaded
// once for all invocations when the API rejects it.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	s, err := serviceFromEnv()
	if err != nil {
		log.Fatalf("secret: %v", err)
	}
	action.Run(s.handle)
}
