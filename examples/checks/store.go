package main

import (
	"context"
	"errors"
	"os"
)

// store is the database.
type store interface {
	// customer returns an error that matches cache.ErrNotFound if there is none.
	customer(ctx context.Context, key CustomerKey) (Customer, error)

	// save saves the record under the bucket and key of its check. It replaces an
	// earlier record, because a host may repeat an event.
	save(ctx context.Context, r Out) error
}

// openStore opens CouchDB if COUCHDB_URL is set, and otherwise a SQLite file, which
// needs no server.
func openStore() (store, error) {
	if server := os.Getenv("COUCHDB_URL"); server != "" {
		return openCouch(server)
	}
	if file := os.Getenv("CHECKS_DB"); file != "" {
		return openSQLite(file)
	}
	return nil, errors.New("neither COUCHDB_URL nor CHECKS_DB is set: they name a CouchDB server and a SQLite file")
}
