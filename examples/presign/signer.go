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

// signature is the lifetime of a URL, unless the credentials end earlier. S3 allows
// seven days, but a URL gives access to everybody who has it and cannot be revoked.
// So it lives no longer than the user needs it.
const signature = 15 * time.Minute

// signer makes the URLs. It computes signatures and sends no requests to S3.
type signer struct {
	client      *s3.PresignClient
	credentials aws.CredentialsProvider
	bucket      string
}

// signerFromEnv does not use the context of an invocation, because the client
// outlives it.
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
		o.UsePathStyle = os.Getenv("S3_PATH_STYLE") == "1" // most servers other than Amazon's need it
	})
	return newSigner(client, bucket), nil
}

// newSigner makes the only presigning client of the process. Making one for each
// URL from a shared client is a data race within the SDK.
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

// Signed is a signed request to S3.
type Signed struct {
	Method  string
	URL     string
	Headers map[string]string // for a PUT: send these
	Fields  map[string]string // for a POST: form fields, before its file
	Expires time.Time         // when the signature or the credentials end, whichever is earlier
}

type credentialsKey struct{}

// credentialsOf returns the credentials that begin has retrieved.
func credentialsOf(ctx context.Context) (aws.Credentials, error) {
	return ctx.Value(credentialsKey{}).(aws.Credentials), nil
}

// begin retrieves the credentials once. It returns a context that signs with these
// credentials, and the time when the signature ends. A second retrieval could
// return other credentials, with another end.
func (s signer) begin(ctx context.Context) (context.Context, time.Time, error) {
	at := time.Now().Truncate(time.Second) // a signature has whole seconds
	c, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return context.WithValue(ctx, credentialsKey{}, c), earlier(at.Add(signature), c), nil
}

// earlier compares wall clocks, as S3 does: Round removes the monotonic reading.
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

// headers returns the headers that the client has to send with the URL.
func headers(signed http.Header) map[string]string {
	h := map[string]string{}
	for name := range signed {
		if name != "Host" {
			h[name] = signed.Get(name)
		}
	}
	return h
}

// post signs a form for an upload of at most that size, such as a browser sends.
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
