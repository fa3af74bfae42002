package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// dynalite is a local DynamoDB in a separate process. All tests share it.
var dynalite server

type server struct {
	starting sync.Once
	url      string
	err      error

	cmd   *exec.Cmd
	alive io.Closer // its standard input; it exits when this is closed or the test process ends
}

// serve listens on a free port, prints it, and exits at the end of its standard
// input.
const serve = `
const server = require(process.argv[1])({createTableMs: 0, deleteTableMs: 0})
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
process.stdin.on('end', () => process.exit(0)).resume()
`

func (s *server) start() {
	module := os.Getenv("DYNALITE")
	if module == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			s.err = err
			return
		}
		module = filepath.Join(cache, "warmcache", "dynalite", "node_modules", "dynalite")
	}
	if _, s.err = os.Stat(module); s.err != nil {
		return
	}
	node, err := exec.LookPath("node")
	if err != nil {
		s.err = err
		return
	}
	s.cmd = exec.Command(node, "-e", serve, module)
	s.cmd.Stderr = os.Stderr
	s.alive, _ = s.cmd.StdinPipe()
	out, _ := s.cmd.StdoutPipe()
	if s.err = s.cmd.Start(); s.err != nil {
		return
	}
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.err = errors.Join(fmt.Errorf("dynalite did not tell its port: %w", err), s.cmd.Wait())
		return
	}
	s.url = "http://127.0.0.1:" + strings.TrimSpace(port)
}

// stop ends the server, if it was started, and waits for it.
func (s *server) stop() error {
	if s.url == "" {
		return nil
	}
	s.alive.Close()
	return s.cmd.Wait()
}

// newTable creates a table and sets the environment variables that point to it.
func newTable(t *testing.T) (name string) {
	t.Helper()
	dynalite.starting.Do(dynalite.start)
	if err := dynalite.err; err != nil {
		missing := t.Skipf
		if os.Getenv("WARMCACHE_TEST_REQUIRE") == "all" {
			missing = t.Fatalf
		}
		missing("needs node and dynalite, which .ci/install/dynalite installs: %v", err)
	}
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": dynalite.url,
		"AWS_REGION":                "eu-central-1",
		"AWS_ACCESS_KEY_ID":         "test",
		"AWS_SECRET_ACCESS_KEY":     "test",
		// Do not use the developer's own configuration.
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_PROFILE":                 "",
		"AWS_CA_BUNDLE":               "",
	} {
		t.Setenv(name, value)
	}
	name = strings.ReplaceAll(t.Name(), "/", ".") + rand.Text() // unique, because a test may run more than once
	store, err := openDynamoDB(name)
	if err != nil {
		t.Fatal(err)
	}
	client := store.(dynamo).client
	_, err = client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName:   &name,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("id"), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String("tenant"), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("id"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("tenant"), KeyType: types.KeyTypeRange},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The table is ready soon after CreateTable returns.
	waiter := dynamodb.NewTableExistsWaiter(client, func(o *dynamodb.TableExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 5*time.Millisecond, 5*time.Millisecond
	})
	if err := waiter.Wait(t.Context(), &dynamodb.DescribeTableInput{TableName: &name}, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	return name
}
