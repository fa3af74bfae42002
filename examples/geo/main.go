// Command geo is a function that finds the countries of IP addresses. Its database
// is an S3 object, compressed by zstd, which is unpacked once into /tmp and mapped
// into memory.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	if _, err := bucket(); err != nil { // fail on a wrong configuration before the first event
		log.Fatalf("geo: %v", err)
	}
	action.Run(handle)
}
