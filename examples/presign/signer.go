package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// signature is how long a URL is good, if the credentials are. S3 allows seven
// days. But whoever gets hold of a URL has the object, and nobody can call it
// back: not longer than the user needs.
const signature = 15 * time.Minute

// signer makes the URLs. It asks S3 nothing: a signature is calculated.
type signer struct {
	client      *s3.PresignClient
	credentials aws.CredentialsProvider
	bucket      string
}

// signerFromEnv must not have the context of an invocation: the client outlives it.
func signerFromEnv() (signer, error) {
	bucket := os.Getenv("PRESIGN_BUCKET")
	if bucket == "" {
		return signer{}, errors.New("PRESIGN_BUCKET is not set: it names the S3 bucket")
	}
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return signer{}, fmt.Errorf("configure the S3 client: %w", err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // servers other than Amazon's mostly want it
	})
	return newSigner(client, bucket), nil
}

// newSigner makes the one presigning client of the process: to make one for each
// URL from a client that others use is a data race within the SDK.
func newSigner(client *s3.Client, bucket string) signer {
	fromContext := s3.WithPresignClientFromClientOptions(func(o *s3.Options) {
		o.Credentials = aws.CredentialsProviderFunc(credentialsOf)
	})
	return signer{
		client:      s3.NewPresignClient(client, s3.WithPresignExpires(signature), fromContext),
		credentials: client.Options().Credentials,
		bucket:      bucket,
	}
}

// Signed is what somebody needs to send one request to S3.
type Signed struct {
	Method  string
	URL     string
	Headers map[string]string // to be sent with a PUT
	Fields  map[string]string // to be sent in a POST form, before its file
	Expires time.Time         // the earlier of the signature's and the credentials' end
}

type credentialsKey struct{}

// credentialsOf returns those that begin has asked for.
func credentialsOf(ctx context.Context) (aws.Credentials, error) {
	return ctx.Value(credentialsKey{}).(aws.Credentials), nil
}

// begin asks for the credentials, and returns the context to sign with just these
// and the end of what they sign now. Were they asked for twice, the end could be
// that of others.
func (s signer) begin(ctx context.Context) (context.Context, time.Time, error) {
	at := time.Now().Truncate(time.Second) // a signature says whole seconds
	c, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return context.WithValue(ctx, credentialsKey{}, c), earlier(at.Add(signature), c), nil
}

// earlier is by the wall clock, as S3 has it: Round takes the monotonic one off.
func earlier(end time.Time, c aws.Credentials) time.Time {
	if c.CanExpire && c.Expires.Before(end) {
		return c.Expires.Round(0)
	}
	return end
}

func (s signer) get(ctx context.Context, key string) (Signed, error) {
	ctx, expires, err := s.begin(ctx)
	if err != nil {
		return Signed{}, err
	}
	r, err := s.client.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	if err != nil {
		return Signed{}, err
	}
	return Signed{Method: r.Method, URL: r.URL, Expires: expires}, nil
}

// put signs for one size: no other number of bytes can be uploaded.
func (s signer) put(ctx context.Context, key string, size int64) (Signed, error) {
	ctx, expires, err := s.begin(ctx)
	if err != nil {
		return Signed{}, err
	}
	r, err := s.client.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, ContentLength: &size})
	if err != nil {
		return Signed{}, err
	}
	return Signed{Method: r.Method, URL: r.URL, Headers: headers(r.SignedHeader), Expires: expires}, nil
}

// headers are those that the client has to send with what is in the URL.
func headers(signed http.Header) map[string]string {
	h := map[string]string{}
	for name := range signed {
		if name != "Host" {
			h[name] = signed.Get(name)
		}
	}
	return h
}

// post signs a form for files up to that size, as a browser sends it.
func (s signer) post(ctx context.Context, key string, maxSize int64) (Signed, error) {
	ctx, expires, err := s.begin(ctx)
	if err != nil {
		return Signed{}, err
	}
	upTo := func(o *s3.PresignPostOptions) { o.Conditions = []any{[]any{"content-length-range", 1, maxSize}} }
	r, err := s.client.PresignPostObject(ctx, &s3.PutObjectInput{Bucket: &s.bucket, Key: &key}, upTo)
	if err != nil {
		return Signed{}, err
	}
	return Signed{Method: http.MethodPost, URL: r.URL, Fields: r.Values, Expires: expires}, nil
}
