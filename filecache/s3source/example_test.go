package s3source_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// standIn is a Client without S3, so the Bucket needs an Endpoint. In a function the
// client is made once, in main, and tells its own:
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
