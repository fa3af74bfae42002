package origin

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Region is the region of the S3 server, for which clients sign.
const Region = "us-east-1"

// An S3 is a real S3 server in a child process, reachable on the loopback interface.
type S3 struct {
	endpoint    string
	credentials aws.Credentials
	transport   *http.Transport
	process     *process
	temp        string // Close removes it; may be empty

	close func() error // once
}

// StartS3 starts a server whose objects are files below dir. StartS3 creates dir if it is missing; a later server finds
// the objects there. An empty dir means a temporary directory, which Close removes. Buckets may enable versioning.
//
// The context limits the start only: the server lives until Close, or until this process ends in any way. The program
// must have called [ServeIfChild].
func StartS3(ctx context.Context, dir string) (*S3, error) {
	return startS3(ctx, childConfig{Dir: dir})
}

func startS3(ctx context.Context, c childConfig) (_ *S3, err error) {
	s := &S3{
		credentials: aws.Credentials{AccessKeyID: rand.Text(), SecretAccessKey: rand.Text(), Source: "warmcache/bench/origin"},
		transport:   newTransport(),
	}
	c.Access, c.Secret = s.credentials.AccessKeyID, s.credentials.SecretAccessKey
	if c.Dir == "" {
		if s.temp, err = os.MkdirTemp("", "warmcache-s3-"); err != nil {
			return nil, fmt.Errorf("origin: start S3: %w", err)
		}
		c.Dir = s.temp
	}
	var addr string
	if c.Dir, err = filepath.Abs(c.Dir); err == nil { // the child changes its directory
		s.process, addr, err = startProcess(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("origin: start S3 in %q: %w", c.Dir, errors.Join(err, os.RemoveAll(s.temp)))
	}
	s.endpoint, s.close = "http://"+addr, sync.OnceValue(s.end)
	return s, nil
}

// Endpoint returns the server's own URL, without any gate.
func (s *S3) Endpoint() string { return s.endpoint }

// Credentials returns the keys of the server's only account.
func (s *S3) Credentials() aws.Credentials { return s.credentials }

// Client returns a client that calls the server directly, to prepare the data of a benchmark.
func (s *S3) Client() *s3.Client { return s.ClientAt(s.endpoint) }

// ClientAt returns a client that calls the server by another endpoint, such as the URL of a [Gate]. It ignores the SDK's
// environment variables and files. Close closes its connections.
func (s *S3) ClientAt(endpoint string, options ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(endpoint),
		UsePathStyle: true,
		Region:       Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return s.credentials, nil
		}),
		HTTPClient: &http.Client{Transport: s.transport},
	}, options...)
}

// Env returns the AWS SDKs' variables for a function that uses the server by that endpoint.
func (s *S3) Env(endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL_S3=" + endpoint,
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + s.credentials.AccessKeyID,
		"AWS_SECRET_ACCESS_KEY=" + s.credentials.SecretAccessKey,
	}
}

// CreateBucket makes a bucket. Names have at least 3 characters.
func (s *S3) CreateBucket(ctx context.Context, name string) error {
	_, err := s.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name})
	if err != nil {
		return fmt.Errorf("origin: create bucket %s: %w", name, err)
	}
	return nil
}

// Put stores an object directly, without any gate. The server adds a CRC-64/NVME of the whole object, as AWS does.
func (s *S3) Put(ctx context.Context, bucket, key string, body []byte) error {
	_, err := s.Client().PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)})
	if err != nil {
		return fmt.Errorf("origin: put %s/%s: %w", bucket, key, err)
	}
	return nil
}

// Close kills the server and returns when it has ended. If it had ended before, Close returns an error with the reason.
func (s *S3) Close() error { return s.close() }

func (s *S3) end() error {
	s.transport.CloseIdleConnections()
	if err := errors.Join(s.process.kill(), os.RemoveAll(s.temp)); err != nil {
		return fmt.Errorf("origin: close S3 at %s: %w", s.endpoint, err)
	}
	return nil
}
