package origin

import (
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

const modelSize = 12 << 20

func benchmarkGet(b *testing.B, url string, size int64) {
	client := newClient(b)
	buf := make([]byte, 1<<20)
	b.SetBytes(size)
	for b.Loop() {
		res, err := client.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, buf)
		if n != size || err != nil {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
}

// BenchmarkGate measures the cost of the gate, compared with the same origin
// without it, and the accuracy of the injected 30 ms + 12 MiB / 90 MB/s = 169.8 ms.
func BenchmarkGate(b *testing.B) {
	small, large := newOrigin(b, serveBytes(Object(1024, 1))), newOrigin(b, serveBytes(Object(modelSize, 1)))
	unlimited, sameRegion := GateOptions{}, GateOptions{FirstByte: DefaultFirstByte, Bandwidth: DefaultBandwidth}
	b.Run("12MiB/direct", func(b *testing.B) { benchmarkGet(b, large, modelSize) })
	b.Run("12MiB/unlimited", func(b *testing.B) { benchmarkGet(b, newGate(b, large, unlimited).URL(), modelSize) })
	b.Run("12MiB/default", func(b *testing.B) { benchmarkGet(b, newGate(b, large, sameRegion).URL(), modelSize) })
	b.Run("1KiB/direct", func(b *testing.B) { benchmarkGet(b, small, 1024) })
	b.Run("1KiB/unlimited", func(b *testing.B) { benchmarkGet(b, newGate(b, small, unlimited).URL(), 1024) })
	b.Run("1KiB/default", func(b *testing.B) { benchmarkGet(b, newGate(b, small, sameRegion).URL(), 1024) })
}

// BenchmarkS3 is the same with the real server.
func BenchmarkS3(b *testing.B) {
	s := newS3(b, childConfig{})
	mustCreateBucket(b, s)
	mustPut(b, s, "model", Object(modelSize, 1))
	sameRegion := GateOptions{FirstByte: DefaultFirstByte, Bandwidth: DefaultBandwidth}
	gate := func(o GateOptions) string { return newGate(b, s.Endpoint(), o).URL() }
	for name, endpoint := range map[string]string{
		"direct": s.Endpoint(), "unlimited": gate(GateOptions{}), "default": gate(sameRegion),
	} {
		b.Run("12MiB/"+name, func(b *testing.B) {
			signed, err := s3.NewPresignClient(s.ClientAt(endpoint)).PresignGetObject(newContext(b),
				&s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("model")})
			if err != nil {
				b.Fatal(err)
			}
			benchmarkGet(b, signed.URL, modelSize)
		})
	}
}

func BenchmarkLatencyProxy(b *testing.B) {
	client := newProxyClient(b, newProxy(b, DefaultDatabase))
	for b.Loop() {
		client.pay(b, "SELECT 1")
	}
}
