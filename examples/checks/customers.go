package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// customers caches the records to match checks against.
var customers = cache.Must(cache.New(cache.Options[CustomerKey, Customer]{
	Load: loadCustomer,
	TTL:  30 * time.Second, // a limit may be that old
}))

// CustomerKey has every input of a record: two banks may use the same account
// number.
type CustomerKey struct{ Bank, Account string }

// Customer is a row of the database.
type Customer struct {
	Name       string `json:"name"`
	LimitCents int64  `json:"limit_cents"` // of one check
}

// customer is the only function that uses the cache of customers.
func (s *settings) customer(ctx context.Context, key CustomerKey) (Customer, error) {
	get := customers.Get
	if plain() {
		get = loadCustomer
	}
	c, err := get(ctx, key)
	if errors.Is(err, cache.ErrNotFound) {
		return Customer{}, rejection("there is no such account")
	}
	return c, err
}

func loadCustomer(ctx context.Context, key CustomerKey) (Customer, error) {
	s, err := configuration()
	if err != nil {
		return Customer{}, err
	}
	c, err := s.db.customer(ctx, key)
	if err != nil {
		return Customer{}, fmt.Errorf("customer of account %q at %q: %w", key.Account, key.Bank, err)
	}
	return c, nil
}

// save saves the record of the check.
func (s *settings) save(ctx context.Context, out Out) error {
	if err := s.db.save(ctx, out); err != nil {
		return fmt.Errorf("save the record: %w", err)
	}
	return nil
}
