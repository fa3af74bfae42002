package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/warmcache/warmcache/cache"
	"github.com/warmcache/warmcache/examples/internal/toll"
)

// ownToken is a token that the authorization server has issued to this function.
type ownToken struct {
	access  string // unexported: neither JSON nor a Tier stores it
	expires time.Time
}

const (
	// margin is how long before its end a token is replaced.
	margin = time.Minute

	// bridge is how long an outage of the authorization server may last before
	// invocations fail. It must be shorter than margin: StaleIfError counts from the
	// TTL, so a longer one would return tokens that have expired.
	bridge = margin / 2

	// defaultLife is the TTL of a token without expires_in, which RFC 6749 allows.
	defaultLife = 5 * time.Minute
)

func (s *service) tokenOptions() cache.Options[string, ownToken] {
	return cache.Options[string, ownToken]{
		Load:         s.requestToken,
		TTL:          24 * time.Hour, // no longer, whatever the server says
		TTLOf:        func(_ string, t ownToken) time.Duration { return time.Until(t.expires) - margin },
		StaleIfError: bridge,
	}
}

func (s *service) ownToken(ctx context.Context) (ownToken, error) {
	if plain() {
		return s.requestToken(ctx, s.Scope)
	}
	return s.tokens.Get(ctx, s.Scope)
}

// requestToken uses the client-credentials grant (RFC 6749, section 4.4).
func (s *service) requestToken(ctx context.Context, scope string) (ownToken, error) {
	if err := toll.Pay(ctx, "token"); err != nil {
		return ownToken{}, err
	}
	c := clientcredentials.Config{
		ClientID: s.ClientID, ClientSecret: s.ClientSecret, TokenURL: s.TokenURL, Scopes: []string{scope},
		AuthStyle: oauth2.AuthStyleInHeader, // else the first request of a process may be sent twice
	}
	t, err := c.Token(context.WithValue(ctx, oauth2.HTTPClient, s.client))
	if err != nil {
		return ownToken{}, describe(err)
	}
	expires := t.Expiry
	if expires.IsZero() {
		expires = time.Now().Add(defaultLife + margin)
	}
	return ownToken{t.AccessToken, expires}, nil
}

// describe omits the body of the server's answer, which an error of oauth2 includes.
func describe(err error) error {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return errors.New("the authorization server answers " + refused.Response.Status + " " + refused.ErrorCode)
	}
	return err
}
