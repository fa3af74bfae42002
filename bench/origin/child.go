package origin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// childEnv makes a program an S3 server: its value is a childConfig in JSON.
const childEnv = "WARMCACHE_ORIGIN_CHILD"

// childReady is set once this program has shown that it can be re-executed.
var childReady atomic.Bool

// ServeIfChild must be the first call in main, or in TestMain, of every program that uses [StartS3]: the server runs in
// a second process of the same program, in which ServeIfChild does not return. Otherwise it returns at once.
//
// The server has a process of its own because it changes the working directory, cannot run twice in one process, and
// leaves goroutines behind.
func ServeIfChild() {
	config, isChild := os.LookupEnv(childEnv)
	if !isChild {
		childReady.Store(true)
		return
	}
	os.Unsetenv(childEnv)
	report := os.Stdout
	os.Stdout = os.Stderr       // the server prints messages there, and the parent reads one line only
	signal.Ignore(os.Interrupt) // from the terminal: the parent handles it, and ends the server after its clients
	go exitWithParent()
	if err := serveS3(config, report); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1) // the parent ends the server by a signal or by closing standard input
}

// exitWithParent waits for the end of standard input, whose other end the parent keeps open until it dies.
func exitWithParent() {
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// childConfig is the parent's message to the child. Dir is absolute.
type childConfig struct {
	Dir     string   // holds the directories below
	Access  string   // access key ID
	Secret  string   // secret access key
	Sidecar bool     // for tests: keep metadata in files, as if there were no extended attributes
	Try     []string // for tests: addresses to try before free ones
}

func (c childConfig) data() string { return filepath.Join(c.Dir, "data") }

// bindAttempts bounds how often another program may take the port before the server does.
const bindAttempts = 20

// serveS3 runs the server and, when it listens, writes its address to report as one line.
//
// The server does not report which port it got for port 0, so serveS3 finds a free one. If another program takes that in
// between, the bind fails and serveS3 tries the next one.
func serveS3(config string, report io.Writer) error {
	var c childConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("origin: S3 child: read %s: %w", childEnv, err)
	}
	var err error
	for range bindAttempts {
		var addr string
		if addr, err = c.nextAddr(); err != nil {
			return fmt.Errorf("origin: S3 child: find a free port: %w", err)
		}
		err = c.serveAt(addr, func() { fmt.Fprintln(report, addr) })
		if op := new(net.OpError); !errors.As(err, &op) || op.Op != "listen" {
			break
		}
	}
	return fmt.Errorf("origin: S3 child in %s: %w", c.Dir, err)
}

func (c *childConfig) nextAddr() (string, error) {
	if len(c.Try) > 0 {
		addr := c.Try[0]
		c.Try = c.Try[1:]
		return addr, nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

func (c childConfig) serveAt(addr string, listening func()) error {
	backend, err := c.newBackend()
	if err != nil {
		return err
	}
	const many = 4096 // connections and requests at once, more than any benchmark opens
	return embedgw.RunVersityGW(context.Background(), backend, &embedgw.Config{
		RootUserAccess:    c.Access,
		RootUserSecret:    c.Secret,
		Region:            Region,
		Ports:             []string{addr},
		MaxConnections:    many,
		MaxRequests:       many,
		MultipartMaxParts: 10_000,
		KeepAlive:         true,
		Quiet:             true,
		S3Options:         []s3api.Option{s3api.WithOnListen(listening)},
	})
}

// newBackend stores objects as files below c.Dir.
func (c childConfig) newBackend() (*posix.Posix, error) {
	options := posix.PosixOpts{VersioningDir: filepath.Join(c.Dir, "versions")}
	for _, dir := range []string{c.data(), options.VersioningDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	attributes := meta.XattrMeta{}
	if !c.Sidecar && attributes.Test(c.data()) == nil {
		return posix.New(c.data(), attributes, options)
	}
	options.SideCarDir = filepath.Join(c.Dir, "sidecar")
	if err := os.MkdirAll(options.SideCarDir, 0o755); err != nil {
		return nil, err
	}
	files, err := meta.NewSideCar(options.SideCarDir)
	if err != nil {
		return nil, err
	}
	return posix.New(c.data(), files, options)
}
