package s3source_test

import (
	"context"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/filecache"
	"github.com/warmcache/warmcache/filecache/s3source"
)

// A program that wants a file by its path, such as an OCR engine, gets it from
// the cache.
func Example() {
	var (
		client *s3.Client // of s3.NewFromConfig
		files  = filecache.Must(filecache.New(filecache.Options{MaxAge: filecache.Immutable}))
		models = s3source.Bucket{Client: client, Name: "models"}
	)
	handle := func(ctx context.Context) error {
		path, release, err := files.Path(ctx, models.Object("eng.traineddata"))
		if err != nil {
			return err
		}
		defer release()
		_, err = os.Stat(path) // run the program with it
		return err
	}
	_ = handle
}
