package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/examples/token/tokentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// container is a new container and the server that it uses, without a network.
type container struct {
	*service
	*tokentest.Server
}

func newContainer(t *testing.T) container {
	t.Helper()
	for _, v := range tokentest.Env("http://server") {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	c, err := configFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	server := tokentest.New()
	s := newService(c)
	s.client = &http.Client{Transport: server}
	return container{s, server}
}

// inBubble runs a test whose time is virtual.
func inBubble(t *testing.T, test func(t *testing.T, c container)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newContainer(t)) })
}

func (c container) mustAnswer(t *testing.T, token string) {
	t.Helper()
	out, err := c.handle(t.Context(), In{token})
	if want := (Out{"ann", 3}); err != nil || out != want {
		t.Errorf("%+v, %v, want %+v", out, err, want)
	}
}

func (c container) expect(t *testing.T, calls map[string]int) {
	t.Helper()
	got := map[string]int{}
	for path := range calls {
		got[path] = c.Calls(path)
	}
	if !reflect.DeepEqual(got, calls) {
		t.Errorf("requests: %v, want %v", got, calls)
	}
}

func TestKeysAndTokenAreFetchedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		for range 3 {
			c.mustAnswer(t, c.Token("ann", "k1"))
		}
		c.expect(t, map[string]int{"/keys": 1, "/token": 1, "/orders": 3})
		t.Setenv("WARMCACHE", "off")
		for range 3 {
			c.mustAnswer(t, c.Token("ann", "k1"))
		}
		c.expect(t, map[string]int{"/keys": 3, "/token": 3, "/orders": 3})
	})
}

// After TTL, the issuer confirms its keys without sending them.
func TestKeysAreConfirmed(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		for range 3 {
			c.mustAnswer(t, c.Token("ann", "k1"))
			time.Sleep(10*time.Minute + time.Second)
		}
		c.expect(t, map[string]int{"/keys": 3, "/keys 304": 2})
	})
}

// A token with a new key is accepted at once, unless the keys are younger than refetch.
func TestNewKey(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		c.mustAnswer(t, c.Token("ann", "k1"))
		time.Sleep(refetch + 1)
		c.AddKey("k2")
		c.mustAnswer(t, c.Token("ann", "k2"))
		c.AddKey("k3")
		if _, err := c.handle(t.Context(), In{c.Token("ann", "k3")}); !errors.Is(err, errToken) {
			t.Errorf("error = %v", err)
		}
		time.Sleep(refetch + 1)
		c.mustAnswer(t, c.Token("ann", "k3"))
		c.mustAnswer(t, c.Token("ann", "k1"))
		c.expect(t, map[string]int{"/keys": 3})
	})
}

// Forged tokens with random key IDs, one hundred a second from several callers, cause
// two requests per refetch at most.
func TestForgedKeyIDs(t *testing.T) {
	key := tokentest.Key()
	inBubble(t, func(t *testing.T, c container) {
		const seconds = 60
		var callers sync.WaitGroup
		for caller := range 4 {
			callers.Go(func() {
				for n := range seconds * 25 {
					id := fmt.Sprint(caller, "-", n)
					forged := tokentest.Sign(key, id, jwt.Claims{Issuer: tokentest.Issuer, Subject: "ann"})
					if _, err := c.handle(t.Context(), In{forged}); !errors.Is(err, errToken) {
						t.Errorf("error = %v", err)
					}
					time.Sleep(time.Second / 25)
				}
			})
		}
		callers.Wait()
		if n := c.Calls("/keys"); n > 2*int(seconds*time.Second/refetch) {
			t.Errorf("%d requests for keys in %d seconds", n, seconds)
		}
		c.mustAnswer(t, c.Token("ann", "k1"))
	})
}

// While the issuer fails, known keys are used for an hour past their TTL, and no longer.
func TestIssuerFails(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		token := c.Token("ann", "k1")
		c.mustAnswer(t, token)
		c.Fail(true)
		time.Sleep(time.Hour)
		if _, err := c.verify(t.Context(), token); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if _, err := c.verify(t.Context(), token); err == nil || errors.Is(err, errToken) {
			t.Errorf("error = %v", err)
		}
	})
}

func TestTokensThatAreNotAccepted(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		now := time.Now()
		valid := jwt.Claims{
			Issuer: tokentest.Issuer, Audience: jwt.Audience{tokentest.Audience}, Subject: "ann",
			Expiry: jwt.NewNumericDate(now.Add(time.Hour)),
		}
		key := tokentest.Key()
		change := func(f func(*jwt.Claims)) jwt.Claims { c := valid; f(&c); return c }
		c.UseKey("mine", key)
		for name, token := range map[string]string{
			"valid":          tokentest.Sign(key, "mine", valid),
			"another key":    tokentest.Sign(tokentest.Key(), "mine", valid),
			"unknown key":    tokentest.Sign(key, "none", valid),
			"another issuer": tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.Issuer = "https://evil.example" })),
			"for another":    tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.Audience = jwt.Audience{"billing"} })),
			"expired":        tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(now.Add(-time.Hour)) })),
			"not yet valid":  tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(now.Add(time.Hour)) })),
			"endless":        tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.Expiry = nil })),
			"nobody":         tokentest.Sign(key, "mine", change(func(c *jwt.Claims) { c.Subject = "" })),
			"HS256":          tokentest.SignHS256("oct", valid), // the issuer's set has this key
			"alg none":       "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4ifQ.",
			"no JWT":         "ann",
			"too long":       strings.Repeat("e", maxToken+1),
		} {
			_, err := c.handle(t.Context(), In{token})
			if (name == "valid") != (err == nil) || name != "valid" && !errors.Is(err, errToken) {
				t.Errorf("%s: error = %v", name, err)
			}
		}
	})
}

// The API never gets a token of this function that has expired: however long tokens
// live, whenever an outage of the authorization server begins and however long it
// takes. Outages shorter than bridge have no effect if tokens live long enough.
func TestExpiredTokenIsNeverUsed(t *testing.T) {
	for _, life := range []time.Duration{0, 20 * time.Second, 100 * time.Second, 5 * time.Minute, time.Hour} {
		for _, outage := range []time.Duration{0, bridge - 2*time.Second, time.Hour} {
			t.Run(fmt.Sprint(life, outage), func(t *testing.T) {
				inBubble(t, func(t *testing.T, c container) { testOwnToken(t, c, life, outage) })
			})
		}
	}
}

func testOwnToken(t *testing.T, c container, life, outage time.Duration) {
	step := max(time.Second, life/600)
	c.SetLife(life)
	c.mustAnswer(t, c.Token("ann", "k1"))
	failed, steps := 0, 0
	for begin := range 7 {
		wait := time.Duration(begin) * life / 7
		for at := time.Duration(0); at < 2*life+outage; at += step {
			c.Fail(wait <= at && at < wait+outage)
			if _, err := c.orders(t.Context(), "ann"); err != nil {
				failed++
			}
			steps++
			time.Sleep(step)
		}
	}
	c.expect(t, map[string]int{"/orders 401": 0})
	if outage < bridge && life > margin && failed > 0 {
		t.Errorf("%d of %d invocations failed", failed, steps)
	}
	if n := c.Calls("/token"); outage == 0 && life > margin && n > 7*3*int(life/(life-margin)+1) {
		t.Errorf("%d tokens", n)
	}
}

// A container that was frozen for longer than a token lives requests a new one.
func TestFrozenContainer(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		c.mustAnswer(t, c.Token("ann", "k1"))
		time.Sleep(time.Hour - bridge)
		c.mustAnswer(t, c.Token("ann", "k1"))
		c.expect(t, map[string]int{"/token": 2, "/orders 401": 0})
	})
}

// Errors contain neither the client's secret nor text of the server.
func TestErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, c container) {
		c.ClientSecret = "wrong"
		_, err := c.handle(t.Context(), In{c.Token("ann", "k1")})
		if err == nil || !strings.HasSuffix(err.Error(), "401 Unauthorized invalid_client") {
			t.Errorf("error = %v", err)
		}
		c.Fail(true)
		if _, err := c.handle(t.Context(), In{c.Token("ann", "k1")}); err == nil || strings.Contains(err.Error(), "outage") {
			t.Errorf("error = %v", err)
		}
		c.APIURL = "http://server/none"
		c.Fail(false)
		c.ClientSecret = tokentest.Secret
		if _, err := c.handle(t.Context(), In{c.Token("ann", "k1")}); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("error = %v", err)
		}
	})
	for _, set := range []string{"", "{}", `{"keys":[{"kty":"oct","kid":"1","k":"c2VjcmV0"}]}`} {
		if _, err := parseKeys(strings.NewReader(set)); err == nil {
			t.Errorf("%q: no error", set)
		}
	}
	t.Setenv("ISSUER", "")
	if _, err := configFromEnv(); err == nil || !strings.Contains(err.Error(), "ISSUER") {
		t.Errorf("error = %v", err)
	}
}

// Example shows three invocations of one container, over HTTP.
func Example() {
	server := tokentest.New()
	l := httptest.NewServer(server)
	defer l.Close()
	for _, v := range tokentest.Env(l.URL) {
		name, value, _ := strings.Cut(v, "=")
		defer os.Setenv(name, os.Getenv(name))
		os.Setenv(name, value)
	}
	c, err := configFromEnv()
	if err != nil {
		panic(err)
	}
	s := newService(c)
	defer s.client.CloseIdleConnections()
	s.client.Timeout = time.Minute
	for range 3 {
		out, err := s.handle(context.Background(), In{server.Token("ann", "k1")})
		fmt.Println(out, err, "| keys:", server.Calls("/keys"), "tokens:", server.Calls("/token"), "API:", server.Calls("/orders"))
	}
	// Output:
	// {ann 3} <nil> | keys: 1 tokens: 1 API: 1
	// {ann 3} <nil> | keys: 0 tokens: 0 API: 1
	// {ann 3} <nil> | keys: 0 tokens: 0 API: 1
}
