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

// A ballot is where the votes are. It is safe for concurrent use.
type ballot interface {
	// vote makes choice the voter's, whatever it was before.
	vote(ctx context.Context, tenant, voter, choice string) error

	// result counts the voters of each choice.
	result(ctx context.Context, tenant string) (map[string]int64, error)
}

// maxAge is how old a result may be in a container that did not take the vote.
const maxAge = 10 * time.Second

// service is what lives as long as the process.
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

// handle answers one event. It knows nothing of its host.
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

// vote writes to the database and not to the cache, which only has to forget: then
// there is one truth. A result that was loaded before the Delete is not handed out
// after it, also if its load is still under way.
func (s *service) vote(ctx context.Context, in In) error {
	defer s.results.Delete(in.Tenant) // also after an error: it may have been written all the same
	return s.votes.vote(ctx, in.Tenant, in.Voter, in.Choice)
}

// result is all that the cache changes: WARMCACHE=off asks the database each time.
func (s *service) result(ctx context.Context, tenant string) (map[string]int64, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return s.votes.result(ctx, tenant)
	}
	return s.results.Get(ctx, tenant)
}

// maxName bounds what an event can say.
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
