// Command maketable writes a price table of 12 MiB to its standard output.
package main

import (
	"log"
	"os"

	"github.com/warmcache/warmcache/examples/model/table"
)

func main() {
	const size = 12 << 20
	if _, err := os.Stdout.Write(table.Make(size / table.RecordSize)); err != nil {
		log.Fatalf("maketable: %v", err)
	}
}
