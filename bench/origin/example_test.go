package origin_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/warmcache/warmcache/bench/origin"
)

// A benchmark seeds the server directly, hands the gate's URL to the function under test, and takes the difference of
// the counts around each invocation. main begins with origin.ServeIfChild().
func Example() {
	ctx := context.Background()
	store, err := origin.StartS3(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if err := store.CreateBucket(ctx, "models"); err != nil {
		log.Fatal(err)
	}
	model := origin.Object(1<<20, 1)
	if err := store.Put(ctx, "models", "prices.bin", model); err != nil {
		log.Fatal(err)
	}

	gate, err := origin.StartGate(store.Endpoint(), origin.GateOptions{FirstByte: origin.DefaultFirstByte, Bandwidth: origin.DefaultBandwidth})
	if err != nil {
		log.Fatal(err)
	}
	defer gate.Close()
	client := store.ClientAt(gate.URL()) // a function of its own process gets store.Env(gate.URL())

	before := gate.Counts()
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("models"), Key: aws.String("prices.bin")})
	if err != nil {
		log.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.Equal(body, model))
	fmt.Printf("%+v\n", gate.Counts().Sub(before))
	// Output:
	// true
	// {Calls:1 Bytes:1048576}
}
