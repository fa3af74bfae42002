package servers

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/bench/origin"
	"github.com/warmcache/warmcache/internal/childtest"
)

func TestMain(m *testing.M) {
	origin.ServeIfChild()
	goleak.VerifyTestMain(m)
}

// server is a real S3 server with an empty bucket.
type server struct {
	endpoint    string
	credentials aws.Credentials
	simple      bool // no versions, and no checksums of multipart uploads
	plain       bool // it does not encode the keys of a listing
}

// client returns a client that sends its requests with send, or with http's if send
// is nil.
func (s *server) client(t *testing.T, send http.RoundTripper) *s3.Client {
	if send == nil {
		send = s.transport(t)
	}
	return s3.New(s3.Options{
		BaseEndpoint:     aws.String(s.endpoint),
		UsePathStyle:     true,
		Region:           origin.Region,
		Credentials:      aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return s.credentials, nil }),
		HTTPClient:       &http.Client{Transport: send},
		RetryMaxAttempts: 1,
	})
}

func (s *server) transport(t *testing.T) *http.Transport {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// onEach runs a test against each installed server.
func onEach(t *testing.T, test func(t *testing.T, s *server)) {
	t.Run("versitygw", func(t *testing.T) { test(t, startVersity(t)) })
	t.Run("minio", func(t *testing.T) { test(t, startMinIO(t)) })
	t.Run("rclone", func(t *testing.T) { test(t, startRclone(t)) })
}

func startVersity(t *testing.T) *server {
	t.Helper()
	v, err := origin.StartS3(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	s := &server{endpoint: v.Endpoint(), credentials: v.Credentials(), plain: true}
	s.prepare(t)
	return s
}

// startMinIO starts MinIO as a process that does not outlive the test.
func startMinIO(t *testing.T) *server {
	t.Helper()
	program := installed(t, "minio", "--version")
	addr, console := freeAddr(t), freeAddr(t)
	cmd := exec.Command(program, "server", t.TempDir(), "--address", addr, "--console-address", console, "--quiet")
	cmd.Env = []string{"MINIO_ROOT_USER=testaccess", "MINIO_ROOT_PASSWORD=testsecret1", "MINIO_BROWSER=off", "HOME=" + t.TempDir()}
	start(t, cmd)
	s := &server{endpoint: "http://" + addr, credentials: aws.Credentials{AccessKeyID: "testaccess", SecretAccessKey: "testsecret1"}}
	s.awaitReady(t)
	s.prepare(t)
	return s
}

// startRclone starts rclone as a process that serves a directory as S3.
func startRclone(t *testing.T) *server {
	t.Helper()
	program, addr := installed(t, "rclone", "version"), freeAddr(t)
	cmd := exec.Command(program, "serve", "s3", "--addr", addr, "--auth-key", "testaccess,testsecret1", "--config", os.DevNull, t.TempDir())
	cmd.Env = []string{"HOME=" + t.TempDir()}
	start(t, cmd)
	s := &server{
		endpoint: "http://" + addr, simple: true,
		credentials: aws.Credentials{AccessKeyID: "testaccess", SecretAccessKey: "testsecret1"},
	}
	s.awaitReady(t)
	s.prepare(t)
	return s
}

// start starts a process that does not outlive the test.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	childtest.DieWithParent(cmd, syscall.SIGKILL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// installed returns the path of a program that .ci/install put there.
func installed(t *testing.T, name, version string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err == nil {
		if p := filepath.Join(cache, "warmcache", "bin", name); exec.Command(p, version).Run() == nil {
			return p
		}
	}
	if os.Getenv("WARMCACHE_TEST_REQUIRE") == "all" {
		t.Fatalf("needs %s: run .ci/install/%[1]s", name)
	}
	t.Skipf("needs %s: run .ci/install/%[1]s", name)
	return ""
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *server) awaitReady(t *testing.T) {
	t.Helper()
	client := s.client(t, nil)
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		_, err := client.ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the server is not ready: %v", err)
		}
	}
}

const bucket = "models"

func (s *server) prepare(t *testing.T) {
	t.Helper()
	client := s.client(t, nil)
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	if s.simple {
		return
	}
	_, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
}
