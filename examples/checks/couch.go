package main

import (
	"context"
	"fmt"
	"net/http"

	"github.com/go-kivik/kivik/v4"
	_ "github.com/go-kivik/kivik/v4/couchdb" // registers the driver "couch"

	"github.com/warmcache/warmcache/cache"
)

// couch uses the databases "customers", by bank and account, and "checks", by bank
// and key of the scan.
type couch struct{ customers, checks *kivik.DB }

func openCouch(server string) (store, error) {
	client, err := kivik.New("couch", server)
	if err != nil {
		return nil, fmt.Errorf("COUCHDB_URL: %w", err)
	}
	return couch{client.DB("customers"), client.DB("checks")}, nil
}

// documentID joins two names into an unambiguous document ID.
func documentID(bank, name string) string { return fmt.Sprintf("%d:%s:%s", len(bank), bank, name) }

func (db couch) customer(ctx context.Context, key CustomerKey) (c Customer, err error) {
	err = db.customers.Get(ctx, documentID(key.Bank, key.Account)).ScanDoc(&c)
	if kivik.HTTPStatus(err) == http.StatusNotFound {
		err = fmt.Errorf("%w: %w", cache.ErrNotFound, err)
	}
	return c, err
}

// checkDocument is a record with the revision that it replaces.
type checkDocument struct {
	Rev string `json:"_rev,omitempty"`
	Out
}

// attempts bounds the retries of a write that conflicts with others.
const attempts = 5

func (db couch) save(ctx context.Context, r Out) error {
	id := documentID(r.Bucket, r.Key)
	document := checkDocument{Out: r}
	var err error
	for range attempts {
		_, err = db.checks.Put(ctx, id, document)
		if kivik.HTTPStatus(err) != http.StatusConflict {
			return err
		}
		// Get the whole document: not every server with this API sends the revision
		// in the headers of a HEAD.
		if err = db.checks.Get(ctx, id).ScanDoc(&document); err != nil {
			return err
		}
		document.Out = r
	}
	return err
}
