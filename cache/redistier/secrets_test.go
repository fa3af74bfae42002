//go:build unix

package redistier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const secret = "s3cret-p4ssword"

// noSecrets checks the errors, statistics and logs of a Tier.
func noSecrets(t *testing.T, tier *Tier, errs ...error) {
	t.Helper()
	text := fmt.Sprint(tier.Stats(), errs, logged.String())
	for _, err := range errs {
		text += fmt.Sprintf("%v %+v %#v", err, err, err)
	}
	if tier.Stats().Last == nil || strings.Contains(text, secret) {
		t.Errorf("the secret is in, or there is nothing in: %s", text)
	}
}

// No password is in an error, with any reply of the server.
func TestNoSecretsInErrors(t *testing.T) {
	o := &origin{}
	for name, s := range map[string]func(t *testing.T) redis.UniversalClient{
		"wrong password": func(t *testing.T) redis.UniversalClient {
			return startSocket(t, "--requirepass", "another").client(withPassword)
		},
		"no such user": func(t *testing.T) redis.UniversalClient {
			return startSocket(t).client(withPassword, func(o *redis.UniversalOptions) { o.Username = secret })
		},
		"a server that repeats the command": func(t *testing.T) redis.UniversalClient {
			what := "-ERR unknown command 'AUTH', with args beginning with: '" + secret + "'\r\n"
			return closed(t, Connect(&redis.UniversalOptions{Addrs: []string{answers(t, what+what)}, Password: secret}))
		},
		"a code of its own": func(t *testing.T) redis.UniversalClient {
			return closed(t, Connect(&redis.UniversalOptions{Addrs: []string{answers(t, "-"+secret+"\r\n")}, Password: secret}))
		},
		"no such host": func(t *testing.T) redis.UniversalClient {
			c, err := ConnectURL("redis://user:" + secret + "@127.0.0.1:1/0")
			if err != nil {
				t.Fatal(err)
			}
			return closed(t, c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tier := newTier(t, patient(s(t)))
			c := newCache(t, tier, o)
			want := fmt.Sprintf("k v%d", o.loads.Load()+1)
			wantGet(t, c, "k", want)
			noSecrets(t, tier, c.Invalidate(background, "k"))
		})
	}
	for _, url := range []string{"redis://user:" + secret + "@host:port/0", "http://" + secret, "redis://:" + secret + "@h/x/y", secret} {
		if _, err := ConnectURL(url); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("ConnectURL: %v", err)
		}
	}
}

func withPassword(o *redis.UniversalOptions) { o.Password = secret }

func TestTLSAndPassword(t *testing.T) {
	dir, port := t.TempDir(), freePort(t)
	pool := certificate(t, dir)
	s := start(t, "127.0.0.1:"+port, []string{"--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--requirepass", secret,
		"--tls-cert-file", filepath.Join(dir, "cert"), "--tls-key-file", filepath.Join(dir, "key"), "--tls-auth-clients", "no"})
	secure := func(o *redis.UniversalOptions) { o.TLSConfig = &tls.Config{RootCAs: pool} }
	o := &origin{}
	good := func() *Tier { return newTier(t, patient(s.client(secure, withPassword))) }
	wantGet(t, newCache(t, good(), o), "k", "k v1")
	tier := good()
	c := newCache(t, tier, o)
	wantGet(t, c, "k", "k v1")
	if err := c.Invalidate(background, "k"); err != nil || tier.Stats().Last != nil {
		t.Error(err, tier.Stats().Last)
	}
	for name, client := range map[string]redis.UniversalClient{
		"no TLS":            s.client(withPassword),
		"unknown authority": s.client(withPassword, func(o *redis.UniversalOptions) { o.TLSConfig = &tls.Config{RootCAs: x509.NewCertPool()} }),
		"no password":       s.client(secure),
	} {
		tier := newTier(t, patient(client))
		want := fmt.Sprintf("k v%d", o.loads.Load()+1)
		c := newCache(t, tier, o)
		wantGet(t, c, "k", want)
		err := c.Invalidate(background, "k")
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		noSecrets(t, tier, err)
	}
}

// certificate writes a server's certificate and key, and returns the pool that verifies
// it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) []byte {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b})
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
		return text
	}
	write("key", "EC PRIVATE KEY", private)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(write("cert", "CERTIFICATE", cert))
	return pool
}
