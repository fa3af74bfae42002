package s3source_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/internal/origintest"
	"github.com/warmcache/warmcache/filecache/s3source"
)

func badObject(t *testing.T, url string) filecache.Object {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := s3.New(s3.Options{
		BaseEndpoint: aws.String(url),
		Region:       "us-east-1",
		UsePathStyle: true,
		HTTPClient:   &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "SECRET"}, nil
		}),
		RetryMaxAttempts: 1,
	})
	return s3source.Bucket{Client: client, Name: "models"}.Object("k")
}

func TestConformance(t *testing.T)       { origintest.RunConformance(t, badObject) }
func TestBadOrigin(t *testing.T)         { origintest.Run(t, badObject) }
func TestBrokenConnections(t *testing.T) { origintest.RunBrokenConnections(t, badObject, false) }

// Retries of the client do not count for the caller.
func TestErrorsThatTheClientRetries(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504} {
		bucket, requests := server(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
		options := bucket.Client.(*s3.Client).Options()
		options.RetryMaxAttempts = 3
		options.Retryer = retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = 3
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		})
		failures := 2
		options.HTTPClient = transportFunc(func(r *http.Request) (*http.Response, error) {
			if failures--; failures >= 0 {
				return &http.Response{StatusCode: status, Body: http.NoBody, Header: http.Header{}}, nil
			}
			return bucket.Client.(*s3.Client).Options().HTTPClient.Do(r)
		})
		retrying := s3source.Bucket{Client: s3.New(options), Name: "models"}
		b, err := newFiles(t).ReadFile(context.Background(), retrying.Object("k"))
		if err != nil || string(b) != "hello" || failures != -1 || requests.Load() != 1 {
			t.Errorf("%d: %q, %v", status, b, err)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }
