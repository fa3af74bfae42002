package main

import (
	"context"
	"errors"
	"os"
)

// A Store is a database of sessions and the source of truth about logins. It is
// safe for concurrent use.
type Store interface {
	// Create adds a session.
	Create(ctx context.Context, s Session) error

	// Load returns a session, even if it has expired. If the session does not
	// exist, the error matches cache.ErrNotFound.
	Load(ctx context.Context, key Key) (Session, error)

	// Update replaces the session if its stored Version is s.Version-1. Otherwise
	// the error matches errConflict.
	Update(ctx context.Context, s Session) error

	// Delete removes a session. It returns nil if the session does not exist.
	Delete(ctx context.Context, key Key) error
}

// openStore opens the database that the environment configures.
func openStore() (Store, error) {
	if table := os.Getenv("SESSION_TABLE"); table != "" {
		return openDynamoDB(table)
	}
	if path := os.Getenv("SESSION_DB"); path != "" {
		return openSQLite(path)
	}
	return nil, errors.New("neither SESSION_TABLE, a DynamoDB table, nor SESSION_DB, a SQLite file, is set")
}
