// Command geo is a function that finds the countries of addresses, in a database that
// lives in S3, packed by zstd. It is unpacked once into /tmp and mapped into memory.
package main

import (
	"log"

	"github.com/warmcache/warmcache/examples/action"
)

func main() {
	if _, err := bucket(); err != nil { // before the first event: a wrong configuration shows at once
		log.Fatalf("geo: %v", err)
	}
	action.Run(handle)
}
