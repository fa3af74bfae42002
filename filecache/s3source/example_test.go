package s3source_test

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// standIn is a Client without S3, so the Bucket needs an Endpoint. A function makes its
// client once, in main, and needs none:
//
//	conf, err := config.LoadDefaultConfig(ctx)
//	client := s3.NewFromConfig(conf)
type standIn struct{}

func (standIn) GetObject(_ context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	fmt.Println("GetObject", *in.Bucket, *in.Key)
	return &s3.GetObjectOutput{
		Body:          io.NopCloser(strings.NewReader("lamp 1999")),
		ContentLength: aws.Int64(9),
		ETag:          aws.String(`"v1"`),
	}, nil
}

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	// In a function: package-level variables, and no Dir.
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: 5 * time.Minute}))
	models := s3source.Bucket{Client: standIn{}, Name: "models", Endpoint: "stand-in"}

	for range 2 { // two invocations of one container
		f, err := files.Open(context.Background(), models.Object("prices-eu.bin"))
		if err != nil {
			fmt.Println(err)
			return
		}
		b, err := io.ReadAll(f)
		fmt.Printf("%s %v\n", b, err)
		f.Close()
	}
	// Output:
	// GetObject models prices-eu.bin
	// lamp 1999 <nil>
	// lamp 1999 <nil>
}

// The event of an upload names the object's version. Its bytes never change, so the copy
// needs no MaxAge.
func ExampleBucket_Version() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	models := s3source.Bucket{Client: standIn{}, Name: "models", Endpoint: "stand-in"}

	handle := func(ctx context.Context, key, versionID string) error {
		b, err := files.ReadFile(ctx, models.Version(key, versionID))
		fmt.Printf("%s\n", b)
		return err
	}
	for range 2 {
		if err := handle(context.Background(), "prices-eu.bin", "3sL4kqtJlcpXroDTDmJ"); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// GetObject models prices-eu.bin
	// lamp 1999
	// lamp 1999
}

// Two tenants with different permissions share a Cache, but no copies.
func ExampleBucket_Object() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))

	for _, tenant := range []string{"acme", "globex", "acme"} {
		// In a function, Client has the credentials of the tenant's role.
		bucket := s3source.Bucket{Client: standIn{}, Name: "models", Endpoint: "stand-in", Scope: tenant}
		b, err := files.ReadFile(context.Background(), bucket.Object("prices-eu.bin"))
		fmt.Printf("%s: %s %v\n", tenant, b, err)
	}
	// Output:
	// GetObject models prices-eu.bin
	// acme: lamp 1999 <nil>
	// GetObject models prices-eu.bin
	// globex: lamp 1999 <nil>
	// acme: lamp 1999 <nil>
}

func (standIn) ListObjectsV2(_ context.Context, in *s3.ListObjectsV2Input, _ ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	fmt.Println("ListObjectsV2", *in.Bucket, *in.Prefix)
	return &s3.ListObjectsV2Output{Contents: []types.Object{
		{Key: aws.String("prices/eu.bin"), Size: aws.Int64(9)},
		{Key: aws.String("prices/us.bin"), Size: aws.Int64(9)},
	}}, nil
}

// Code that walks an fs.FS lists the bucket.
func ExampleBucket_List() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	models := s3source.Bucket{Client: standIn{}, Name: "models", Endpoint: "stand-in"}

	entries, err := fs.ReadDir(files.FS(context.Background(), models), "prices")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range entries {
		fmt.Println(e.Name())
	}
	// Output:
	// ListObjectsV2 models prices/
	// eu.bin
	// us.bin
}
