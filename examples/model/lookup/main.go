// Command lookup prints the price of each id in a price table, one per line, or a
// dash if the table does not have the id. It represents programs that need a file
// name and cannot read from S3.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/warmcache/warmcache/examples/model/table"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("lookup: ")
	if len(os.Args) < 2 {
		log.Fatal("usage: lookup TABLE [ID...]")
	}
	if err := lookup(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func lookup(path string, ids []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	for _, text := range ids {
		id, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return err
		}
		cents, found, err := table.Lookup(f, info.Size(), id)
		switch {
		case err != nil:
			return err
		case found:
			fmt.Fprintln(out, cents)
		default:
			fmt.Fprintln(out, "-")
		}
	}
	return out.Flush()
}
