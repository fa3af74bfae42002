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

const (
	// grace is how long another container may accept a session after its logout.
	// Within it, each request after the first saves a query to the database.
	grace = 5 * time.Second

	// lifetime is the lifetime of a session from its login, in whole seconds
	// because the stores keep seconds.
	lifetime = 12 * time.Hour

	// maxAttempts bounds the retries of an update that conflicts with others. In
	// each round, one of the conflicting updates succeeds.
	maxAttempts = 20
)

// service holds the state that lives as long as the process.
type service struct {
	store    Store                      // the source of truth
	sessions *cache.Cache[Key, Session] // recently loaded sessions
	now      func() time.Time           // time.Now, or a test's clock
}

func newService(store Store) *service {
	return &service{
		store: store,
		sessions: cache.Must(cache.New(cache.Options[Key, Session]{
			Load:  store.Load,
			TTL:   grace,
			Clone: Session.clone,
		})),
		now: time.Now,
	}
}

// clone copies the basket, so that no invocation changes the map of another.
func (s Session) clone() Session {
	s.Basket = maps.Clone(s.Basket)
	return s
}

// In is the event.
type In struct {
	Tenant   string `json:"tenant"`
	Do       string `json:"do"`       // login, request, update or logout
	User     string `json:"user"`     // for a login: the authenticated user
	Session  ID     `json:"session"`  // for the others: the ID from the login
	Item     string `json:"item"`     // for an update
	Quantity int64  `json:"quantity"` // for an update; zero removes the item
}

// Out is the answer.
type Out struct {
	Tenant  string           `json:"tenant"`
	User    string           `json:"user,omitempty"`
	Session ID               `json:"session,omitempty"` // only for a login
	Basket  map[string]int64 `json:"basket,omitempty"`
	Version int64            `json:"version,omitempty"`
	Expires int64            `json:"expires,omitempty"` // seconds since 1970
}

// handle answers one event. It does not depend on the host.
func (s *service) handle(ctx context.Context, in In) (Out, error) {
	out, err := s.answer(ctx, in)
	if err != nil {
		return Out{}, fmt.Errorf("session: %w", err)
	}
	return out, nil
}

func (s *service) answer(ctx context.Context, in In) (Out, error) {
	if err := in.validate(); err != nil {
		return Out{}, err
	}
	key := Key{Tenant: in.Tenant, ID: in.Session}
	switch in.Do {
	case "login":
		return s.login(ctx, in)
	case "request":
		return s.request(ctx, key)
	case "update":
		return s.update(ctx, key, in)
	default:
		return s.logout(ctx, key)
	}
}

func (s *service) login(ctx context.Context, in In) (Out, error) {
	created := Session{
		Key:     Key{Tenant: in.Tenant, ID: newID()},
		User:    in.User,
		Basket:  map[string]int64{},
		Version: 1,
		Expires: s.now().Add(lifetime).Truncate(time.Second),
	}
	if err := s.store.Create(ctx, created); err != nil {
		return Out{}, fmt.Errorf("%s: %w", created.Key.ID, err)
	}
	out := created.out()
	out.Session = created.Key.ID
	return out, nil
}

// request reads a session. It is about a hundred times as frequent as the other
// operations.
func (s *service) request(ctx context.Context, key Key) (Out, error) {
	found, err := s.valid(s.session(ctx, key))
	if err != nil {
		return Out{}, fmt.Errorf("%s: %w", key.ID, err)
	}
	return found.out(), nil
}

// session is the only function that uses the cache: WARMCACHE=off queries the
// database each time.
func (s *service) session(ctx context.Context, key Key) (Session, error) {
	if os.Getenv("WARMCACHE") == "off" {
		return s.store.Load(ctx, key)
	}
	return s.sessions.Get(ctx, key)
}

// valid checks the expiry on every request, for cached and loaded sessions. A
// session may expire while it is cached, and a database may be slow to remove it.
func (s *service) valid(found Session, err error) (Session, error) {
	if errors.Is(err, cache.ErrNotFound) || err == nil && !s.now().Before(found.Expires) {
		return Session{}, errNoSession
	}
	return found, err
}

// update reads the session from the database, not from the cache, and writes it
// only if its version has not changed. After a conflict it starts again. This keeps
// the updates of others, and a session that was logged out meanwhile does not come
// back.
func (s *service) update(ctx context.Context, key Key, in In) (Out, error) {
	defer s.sessions.Delete(key) // also after an error: the session may have been written
	for range maxAttempts {
		next, err := s.valid(s.store.Load(ctx, key))
		if err != nil {
			return Out{}, fmt.Errorf("%s: %w", key.ID, err)
		}
		if err := next.set(in.Item, in.Quantity); err != nil {
			return Out{}, fmt.Errorf("%s: %w", key.ID, err)
		}
		next.Version++
		if err = s.store.Update(ctx, next); err == nil {
			return next.out(), nil
		}
		if !errors.Is(err, errConflict) {
			return Out{}, fmt.Errorf("%s: %w", key.ID, err)
		}
	}
	return Out{}, fmt.Errorf("%s: %w, %d times", key.ID, errConflict, maxAttempts)
}

// set sets the quantity instead of adding to it. If the answer of the database is
// lost and the SDK writes again, the result is the same.
func (s *Session) set(item string, quantity int64) error {
	if quantity == 0 {
		delete(s.Basket, item)
		return nil
	}
	if _, there := s.Basket[item]; !there && len(s.Basket) == maxItems {
		return fmt.Errorf("the basket has %d items already", maxItems)
	}
	s.Basket[item] = quantity
	return nil
}

// logout takes effect in this container at once, because no session from before the
// Delete is returned after it. Other containers follow within the grace.
func (s *service) logout(ctx context.Context, key Key) (Out, error) {
	defer s.sessions.Delete(key)
	if err := s.store.Delete(ctx, key); err != nil {
		return Out{}, fmt.Errorf("%s: %w", key.ID, err)
	}
	return Out{Tenant: key.Tenant}, nil
}

func (s Session) out() Out {
	return Out{
		Tenant:  s.Key.Tenant,
		User:    s.User,
		Basket:  s.Basket,
		Version: s.Version,
		Expires: s.Expires.Unix(),
	}
}

// Limits of an event, which also bound the size of a session.
const (
	maxName     = 200
	maxItems    = 100
	maxQuantity = 10_000
)

func (in In) validate() error {
	switch {
	case in.Tenant == "":
		return errors.New("the event has no tenant")
	case max(len(in.Tenant), len(in.User), len(in.Session), len(in.Item)) > maxName:
		return fmt.Errorf("the tenant, user, session or item is longer than %d bytes", maxName)
	}
	switch in.Do {
	case "login":
		return need("user", in.User)
	case "request", "logout":
		return need("session", string(in.Session))
	case "update":
		if in.Quantity < 0 || in.Quantity > maxQuantity {
			return fmt.Errorf("quantity is %d: it must be 0 to %d", in.Quantity, maxQuantity)
		}
		return errors.Join(need("session", string(in.Session)), need("item", in.Item))
	}
	return fmt.Errorf("do is %q: it must be login, request, update or logout", in.Do)
}

func need(what, value string) error {
	if value == "" {
		return fmt.Errorf("the event has no %s", what)
	}
	return nil
}
