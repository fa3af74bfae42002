package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"github.com/warmcache/warmcache/cache"
)

// A ballot stores the votes. It is safe for concurrent use.
type ballot interface {
	// vote sets the choice of a voter and replaces an earlier one.
	vote(ctx context.Context, tenant, voter, choice string) error

	// result counts the voters of each choice.
	result(ctx context.Context, tenant string) (map[string]int64, error)
}

// maxAge is the age that a result may reach in containers that did not handle the
// vote.
const maxAge = 10 * time.Second

// service holds the state that lives as long as the process.
type service struct {
	votes   ballot
	results *cache.Cache[string, map[string]int64] // by tenant
}

func newService(votes ballot) *service {
	return &service{
		votes: votes,
		results: cache.Must(cache.New(cache.Options[string, map[string]int64]{
			Load:  votes.result,
			TTL:   maxAge,
			Clone: maps.Clone[map[string]int64],
		})),
	}
}

// In is the event.
type In struct {
	Tenant string `json:"tenant"`
	Do     string `json:"do"`     // vote or result
	Voter  string `json:"voter"`  // for a vote
	Choice string `json:"choice"` // for a vote
}

// Out is the answer.
type Out struct {
	Tenant string           `json:"tenant"`
	Votes  map[string]int64 `json:"votes"` // by choice
}

// handle answers one event. It does not depend on the host.
func (s *service) handle(ctx context.Context, in In) (Out, error) {
	if err := in.validate(); err != nil {
		return Out{}, fmt.Errorf("dbjson: %w", err)
	}
	if in.Do == "vote" {
		if err := s.vote(ctx, in); err != nil {
			return Out{}, fmt.Errorf("dbjson: vote of %q: %w", in.Voter, err)
		}
	}
	votes, err := s.result(ctx, in.Tenant)
	if err != nil {
		return Out{}, fmt.Errorf("dbjson: result of %q: %w", in.Tenant, err)
	}
	return Out{Tenant: in.Tenant, Votes: votes}, nil
}

// vote writes to the database and invalidates the cached result, so the database
// stays the only source. A result that was loaded before the Delete is not returned
// after it, even if its load is still in flight.
func (s *service) vote(ctx context.Context, in In) error {
	defer s.results.Delete(in.Tenant) // also after an error: the vote may have been written
	return s.votes.vote(ctx, in.Tenant, in.Voter, in.Choice)
}

// result is the only function that uses the cache: WARMCACHE=off queries the
// database each time.
func (s *service) result(ctx context.Context, tenant string) (map[string]int64, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return s.votes.result(ctx, tenant)
	}
	return s.results.Get(ctx, tenant)
}

// maxName bounds the strings of an event, in bytes.
const maxName = 200

func (in In) validate() error {
	switch {
	case in.Tenant == "":
		return errors.New("the event has no tenant")
	case in.Do != "vote" && in.Do != "result":
		return fmt.Errorf("do is %.50q: it must be vote or result", in.Do)
	case in.Do == "vote" && (in.Voter == "" || in.Choice == ""):
		return errors.New("a vote needs a voter and a choice")
	case max(len(in.Tenant), len(in.Voter), len(in.Choice)) > maxName:
		return fmt.Errorf("the tenant, voter or choice is longer than %d bytes", maxName)
	}
	return nil
}
