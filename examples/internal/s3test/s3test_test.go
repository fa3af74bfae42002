package s3test

import (
	"bytes"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// With the real client, configured as in the examples.
func TestPutAndGet(t *testing.T) {
	server := New()
	defer server.Close()
	for name, value := range server.Env() {
		t.Setenv(name, value)
	}
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	bucket, key := "scans", "a folder/a+b"
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader([]byte("scan"))}); err != nil {
		t.Fatal(err)
	}
	if got := server.Object("/scans/a folder/a+b"); string(got) != "scan" {
		t.Errorf("stored %q", got)
	}
	got, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if b, err := io.ReadAll(got.Body); string(b) != "scan" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	if asked := server.Asked(); asked != "PUT 200, GET 200" {
		t.Errorf("requests: %s", asked)
	}
}
