// Command token is a function that verifies the token of its caller and calls an API
// with its own token. It caches the issuer's keys and its own token in memory.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	// Fail on a wrong configuration at once instead of on the first event.
	c, err := configFromEnv()
	if err != nil {
		log.Fatalf("token: %v", err)
	}
	action.Run(newService(c).handle)
}
