package checktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/warmcache/warmcache/internal/childtest"
)

// ErrNotInstalled is returned on a machine without the program that a test needs.
var ErrNotInstalled = errors.New("not installed")

// Couch is a server with the HTTP API of CouchDB that stores its data in memory.
type Couch struct {
	dir    string
	url    string
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has exited
}

// StartCouch returns once the server accepts requests. The caller must call Close.
func StartCouch(ctx context.Context) (_ *Couch, err error) {
	script, err := serverScript()
	if err != nil {
		return nil, err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("pouchdb-server is %w: %w", ErrNotInstalled, err)
	}
	dir, err := os.MkdirTemp("", "couch")
	if err != nil {
		return nil, err
	}
	c := &Couch{dir: dir, exited: make(chan struct{})}
	defer func() {
		if err != nil {
			err = fmt.Errorf("start pouchdb-server: %w", errors.Join(err, c.Close()))
		}
	}()
	if err := c.start(node, script); err != nil {
		return nil, err
	}
	return c, c.await(ctx)
}

// serverScript returns the path at which .ci/install/couchdb installs the server.
func serverScript() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("pouchdb-server is %w: %w", ErrNotInstalled, err)
	}
	script := filepath.Join(cache, "warmcache", "couchdb", "node_modules", "pouchdb-server", "bin", "pouchdb-server")
	if _, err := os.Stat(script); err != nil {
		return "", fmt.Errorf("pouchdb-server is %w: %w", ErrNotInstalled, err)
	}
	return script, nil
}

// start runs the server in a temporary directory, for its log and configuration.
func (c *Couch) start(node, script string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	c.url = "http://127.0.0.1:" + strconv.Itoa(port) + "/"
	cmd := exec.Command(node, script, "--in-memory", "--no-stdout-logs", "--host", "127.0.0.1", "--port", strconv.Itoa(port))
	cmd.Dir = c.dir
	childtest.DieWithParent(cmd, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		return err
	}
	c.cmd = cmd
	go func() {
		defer close(c.exited)
		_ = cmd.Wait() // the status is that of the signal
	}()
	return nil
}

// freePort returns a port that was free a moment ago, because the server cannot
// choose one.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (c *Couch) await(ctx context.Context) error {
	late := time.After(5 * time.Minute)
	for c.do(ctx, http.MethodGet, "", nil) != nil {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-c.exited:
			return c.notReady("it exited")
		case <-late:
			return c.notReady("it is not ready after 5 minutes")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *Couch) notReady(what string) error {
	log, _ := os.ReadFile(filepath.Join(c.dir, "log.txt"))
	return fmt.Errorf("%s\n%s", what, log)
}

// URL returns the value for COUCHDB_URL.
func (c *Couch) URL() string { return c.url }

// CreateDatabase creates an empty database.
func (c *Couch) CreateDatabase(ctx context.Context, name string) error {
	return c.do(ctx, http.MethodPut, name, nil)
}

// Put creates a document.
func (c *Couch) Put(ctx context.Context, database, id string, document any) error {
	return c.do(ctx, http.MethodPut, database+"/"+url.PathEscape(id), document)
}

// Get reads a document.
func (c *Couch) Get(ctx context.Context, database, id string) (document map[string]any, err error) {
	res, err := c.request(ctx, http.MethodGet, database+"/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return document, json.NewDecoder(res.Body).Decode(&document)
}

func (c *Couch) do(ctx context.Context, method, path string, document any) error {
	res, err := c.request(ctx, method, path, document)
	if err != nil {
		return err
	}
	return res.Body.Close()
}

// client keeps no idle connections: their goroutines would outlive the test's
// server.
var client = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

func (c *Couch) request(ctx context.Context, method, path string, document any) (*http.Response, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	if document == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err == nil && res.StatusCode >= 300 {
		res.Body.Close()
		err = fmt.Errorf("%s %s: %s", method, path, res.Status)
	}
	return res, err
}

// Close stops the server and removes its files.
func (c *Couch) Close() error {
	if c.cmd != nil {
		_ = c.cmd.Process.Kill()
		<-c.exited
	}
	return os.RemoveAll(c.dir)
}

// AddCustomers creates the databases of the example and fills them with the
// customers of testdata/checks.sql.
func (c *Couch) AddCustomers(ctx context.Context) error {
	for _, name := range []string{"customers", "checks"} {
		if err := c.CreateDatabase(ctx, name); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		bank, account, name string
		limit               int64
	}{
		{"north-bank", "40817263", "Ada Lovelace", 500000},
		{"north-bank", "55667788", "Blaise Pascal", 20000},
		{"south-bank", "40817263", "Charles Babbage", 900000},
	} {
		id := fmt.Sprintf("%d:%s:%s", len(r.bank), r.bank, r.account)
		if err := c.Put(ctx, "customers", id, map[string]any{"name": r.name, "limit_cents": r.limit}); err != nil {
			return err
		}
	}
	return nil
}
