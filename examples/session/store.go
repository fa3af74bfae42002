package main

import (
	"context"
	"errors"
	"os"
)

// A Store is a database with sessions: the truth about who is logged in. It is
// safe for concurrent use.
type Store interface {
	// Create adds a session.
	Create(ctx context.Context, s Session) error

	// Load returns a session as it is at this moment, expired or not. The error
	// for one that is not there matches cache.ErrNotFound.
	Load(ctx context.Context, key Key) (Session, error)

	// Update replaces the session if its Version is still the one before
	// s.Version; else the error matches errConflict.
	Update(ctx context.Context, s Session) error

	// Delete removes a session. To remove one that is not there is no error.
	Delete(ctx context.Context, key Key) error
}

// openStore opens the database that the environment names.
func openStore() (Store, error) {
	if table := os.Getenv("SESSION_TABLE"); table != "" {
		return openDynamoDB(table)
	}
	if path := os.Getenv("SESSION_DB"); path != "" {
		return openSQLite(path)
	}
	return nil, errors.New("neither SESSION_TABLE, a DynamoDB table, nor SESSION_DB, a SQLite file, is set")
}
