// Command makedb creates a SQLite database from the SQL on its standard input.
package main

import (
	"database/sql"
	"io"
	"log"
	"os"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("makedb: ")
	if len(os.Args) != 2 {
		log.Fatal("usage: makedb FILE <SQL")
	}
	if err := run(os.Args[1], os.Stdin); err != nil {
		log.Fatal(err)
	}
}

func run(path string, r io.Reader) error {
	statements, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o644) // never overwrite an existing database
	if err != nil {
		return err
	}
	f.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(string(statements))
	return err
}
