package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/warmcache/warmcache/cache"
)

const (
	// refetch is how old the key set must be before an unknown key ID fetches it again.
	// Anybody can send tokens with unknown key IDs: without this bound, each of them
	// would be a request to the issuer.
	refetch = 15 * time.Second

	maxToken = 8 << 10 // bytes
	maxKeys  = 1 << 20 // bytes of a key set
)

// errToken is the error of a token that is not accepted.
var errToken = errors.New("invalid token")

// algorithms lists algorithms with public keys only. With HS256, a forger could sign
// with the public key.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// keySet is a JWKS. Invocations share it and do not change it.
type keySet struct {
	etag string
	keys map[string]jose.JSONWebKey // by key ID
}

func (s *service) keyOptions() cache.Options[string, *keySet] {
	return cache.Options[string, *keySet]{
		Load: func(ctx context.Context, url string) (*keySet, error) { return s.fetchKeys(ctx, url, "") },
		Reload: func(ctx context.Context, url string, old *keySet) (*keySet, error) {
			return s.fetchKeys(ctx, url, old.etag)
		},
		TTL:          10 * time.Minute, // how long a withdrawn key may still be accepted
		StaleIfError: time.Hour,        // and how much longer while the issuer fails
	}
}

// verify returns the user of a valid token.
func (s *service) verify(ctx context.Context, token string) (string, error) {
	if len(token) > maxToken {
		return "", fmt.Errorf("%w: it is longer than %d bytes", errToken, maxToken)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	key, err := s.key(ctx, parsed.Headers[0].KeyID)
	if err != nil {
		return "", err
	}
	var claims jwt.Claims
	if err := parsed.Claims(key.Key, &claims); err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	if claims.Expiry == nil || claims.Subject == "" {
		return "", fmt.Errorf("%w: it has no exp or no sub", errToken)
	}
	expected := jwt.Expected{Issuer: s.Issuer, AnyAudience: jwt.Audience{s.Audience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(expected, 30*time.Second); err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	return claims.Subject, nil
}

// key returns the issuer's key with that ID.
func (s *service) key(ctx context.Context, id string) (jose.JSONWebKey, error) {
	set, err := s.keySet(ctx)
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if _, ok := set.keys[id]; !ok && !plain() {
		// The issuer may have a new key, or the token may be forged.
		if set, err = s.keys.GetWithin(ctx, s.JWKSURL, refetch); err != nil {
			return jose.JSONWebKey{}, err
		}
	}
	key, ok := set.keys[id]
	if !ok {
		return key, fmt.Errorf("%w: the issuer has no key %.50q", errToken, id)
	}
	return key, nil
}

func (s *service) keySet(ctx context.Context) (*keySet, error) {
	if plain() {
		return s.fetchKeys(ctx, s.JWKSURL, "")
	}
	return s.keys.Get(ctx, s.JWKSURL)
}

// fetchKeys returns cache.ErrUnchanged if the set still has that ETag.
func (s *service) fetchKeys(ctx context.Context, url, etag string) (*keySet, error) {
	header := http.Header{}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	resp, err := s.get(ctx, "keys", url, header)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return nil, cache.ErrUnchanged
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the issuer answers %s for its keys", resp.Status)
	}
	keys, err := parseKeys(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return nil, fmt.Errorf("the issuer's keys: %w", err)
	}
	return &keySet{resp.Header.Get("ETag"), keys}, nil
}

// parseKeys ignores keys of unknown types, as RFC 7517 says, and those that are not for
// signatures. An answer without keys is an error: it would reject all tokens.
func parseKeys(r io.Reader) (map[string]jose.JSONWebKey, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(r).Decode(&set); err != nil {
		return nil, err
	}
	keys := map[string]jose.JSONWebKey{}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) == nil && key.IsPublic() && (key.Use == "" || key.Use == "sig") {
			keys[key.KeyID] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no usable key")
	}
	return keys, nil
}
