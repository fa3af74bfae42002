package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// service holds the state that lives as long as the process.
type service struct {
	load    func(ctx context.Context, id string) (Credentials, error)
	id      string
	api     api
	secrets *cache.Cache[string, Credentials] // by the secret's name
}

func newService(load func(context.Context, string) (Credentials, error), id string, a api) *service {
	return &service{load: load, id: id, api: a, secrets: cache.Must(cache.New(secretOptions(load)))}
}

// secretOptions set no Tier: that would store the password outside of this process.
func secretOptions(load func(context.Context, string) (Credentials, error)) cache.Options[string, Credentials] {
	return cache.Options[string, Credentials]{
		Load:         load,
		TTL:          time.Hour,
		Jitter:       0.1,       // containers that started together do not all reload together
		StaleIfError: time.Hour, // while Secrets Manager fails; balance drops a rejected secret
	}
}

// In is the event.
type In struct {
	Account string `json:"account"`
}

// Out is the answer.
type Out struct {
	Account string `json:"account"`
	Cents   int64  `json:"cents"`
}

const maxAccount = 200 // bytes

// handle answers one event. It does not depend on the host.
func (s *service) handle(ctx context.Context, in In) (Out, error) {
	if in.Account == "" || len(in.Account) > maxAccount {
		return Out{}, fmt.Errorf("secret: account has %d bytes: it must have 1 to %d", len(in.Account), maxAccount)
	}
	cents, err := s.balance(ctx, in.Account)
	if err != nil {
		return Out{}, fmt.Errorf("secret: balance of account %q: %w", in.Account, err)
	}
	return Out{Account: in.Account, Cents: cents}, nil
}

// balance calls the API. If the API rejects the cached secret, balance retries once
// with a newer one. WARMCACHE=off loads the secret for each call.
func (s *service) balance(ctx context.Context, account string) (int64, error) {
	if os.Getenv("WARMCACHE") == "off" {
		c, err := s.load(ctx, s.id)
		if err != nil {
			return 0, err
		}
		return s.api.balance(ctx, c, account)
	}
	secret, err := s.secrets.Lookup(ctx, s.id)
	if err != nil {
		return 0, err
	}
	cents, err := s.api.balance(ctx, secret.Value, account)
	if !errors.Is(err, errRejected) {
		return cents, err
	}
	// One Load for all invocations that hold this entry.
	newer, loadErr := s.secrets.Newer(ctx, s.id, secret)
	if loadErr != nil {
		// Without Delete, Lookup would return the rejected secret again, and for an hour
		// after its TTL. Repeated logins with it can lock the account.
		s.secrets.Delete(s.id)
		return 0, fmt.Errorf("%w; reload the secret: %w", err, loadErr)
	}
	return s.api.balance(ctx, newer.Value, account)
}
