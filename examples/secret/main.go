// Command secret is a function that calls an API with a password from AWS Secrets
// Manager or from SSM Parameter Store. The password is cached in memory and reloaded
// once for all invocations when the API rejects it.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Before the first event: a wrong configuration shows at once.
	s, err := serviceFromEnv()
	if err != nil {
		log.Fatalf("secret: %v", err)
	}
	action.Run(s.handle)
}
