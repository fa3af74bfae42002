package origin

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc64"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/versity/versitygw/backend/meta"
)

const bucket = "models"

// nvme is CRC-64/NVME: the polynomial, reflected, of the checksum that S3 gives every object.
var nvme = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func crc64NVME(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64.Checksum(b, nvme)))
}

func get(t testing.TB, client *s3.Client, key string) (*s3.GetObjectOutput, []byte) {
	t.Helper()
	out, err := client.GetObject(newContext(t), &s3.GetObjectInput{
		Bucket: aws.String(bucket), Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		t.Fatal(err)
	}
	return out, body
}

func mustPut(t testing.TB, s *S3, key string, body []byte) {
	t.Helper()
	if err := s.Put(newContext(t), bucket, key, body); err != nil {
		t.Fatal(err)
	}
}

func mustCreateBucket(t testing.TB, s *S3) {
	t.Helper()
	if err := s.CreateBucket(newContext(t), bucket); err != nil {
		t.Fatal(err)
	}
}

func status(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) {
		return re.HTTPStatusCode()
	}
	return 0
}

func TestS3AnswersAsAServer(t *testing.T) {
	for name, o := range map[string]childConfig{"xattr": {}, "sidecar": {Sidecar: true}} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CA_BUNDLE", "/nonexistent") // must not matter
			o.Dir = t.TempDir()
			if err := (meta.XattrMeta{}).Test(o.Dir); err != nil && !o.Sidecar {
				t.Skip(err)
			}
			s := newS3(t, o)
			mustCreateBucket(t, s)
			object := Object(100_000, 1)
			mustPut(t, s, "a", object)

			out, body := get(t, s.Client(), "a")
			if !bytes.Equal(body, object) {
				t.Error("the bytes differ from those that were put")
			}
			if got, want := aws.ToString(out.ChecksumCRC64NVME), crc64NVME(object); got != want {
				t.Errorf("CRC64NVME = %q, want %q", got, want)
			}
			if out.ChecksumType != types.ChecksumTypeFullObject {
				t.Errorf("checksum type = %q", out.ChecksumType)
			}
			_, err := os.Stat(filepath.Join(o.Dir, "sidecar", bucket))
			if (err == nil) != o.Sidecar {
				t.Errorf("metadata beside the objects: %v, want it there: %t", err, o.Sidecar)
			}
			testVersions(t, s)
		})
	}
}

func testVersions(t *testing.T, s *S3) {
	t.Helper()
	ctx, client := newContext(t), s.Client()
	_, err := client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "v", []byte("old"))
	old, _ := get(t, client, "v")
	mustPut(t, s, "v", []byte("new"))
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("v"), VersionId: old.VersionId})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if body, err := io.ReadAll(out.Body); err != nil || string(body) != "old" {
		t.Errorf("old version: %q, %v", body, err)
	}
}

func TestS3KeepsObjectsInDir(t *testing.T) {
	t.Chdir(t.TempDir())
	first := newS3(t, childConfig{Dir: "here"}) // relative to this process's directory, not to the child's
	mustCreateBucket(t, first)
	mustPut(t, first, "a", []byte("kept"))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := newS3(t, childConfig{Dir: "here"})
	if _, body := get(t, second.Client(), "a"); string(body) != "kept" {
		t.Errorf("got %q", body)
	}
	if _, err := os.Stat(filepath.Join("here", "data", bucket, "a")); err != nil {
		t.Error(err)
	}
}

func TestTwoS3AtOnce(t *testing.T) {
	one, two := newS3(t, childConfig{}), newS3(t, childConfig{})
	for _, s := range []*S3{one, two} {
		mustCreateBucket(t, s)
		mustPut(t, s, "a", []byte(s.Endpoint()))
	}
	for _, s := range []*S3{one, two} {
		if _, body := get(t, s.Client(), "a"); string(body) != s.Endpoint() {
			t.Errorf("%s answered for %s", s.Endpoint(), body)
		}
	}
	if _, err := one.ClientAt(two.Endpoint()).ListBuckets(newContext(t), nil); err == nil {
		t.Error("one server takes the other's credentials")
	}
}

func TestCloseRemovesTheTemporaryDirectory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := StartS3(newContext(t), "")
	if err != nil {
		t.Fatal(err)
	}
	mustCreateBucket(t, s)
	for range 2 { // Close may be called again
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(os.Getenv("TMPDIR")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if isListening(s.Endpoint()) {
		t.Error("the server still listens after Close")
	}
}

func TestS3TakesAnotherPortWhenItsPortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := newS3(t, childConfig{Try: []string{taken.Addr().String(), taken.Addr().String()}})
	if s.Endpoint() == "http://"+taken.Addr().String() {
		t.Error("the server says that it listens at a taken address")
	}
	mustCreateBucket(t, s)
}

func TestStartS3Fails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("in a file", func(t *testing.T) {
		_, err := StartS3(newContext(t), file)
		if err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("error %v does not say what is wrong with %s", err, file)
		}
	})
	t.Run("too late", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s, err := StartS3(ctx, t.TempDir())
		if !errors.Is(err, ctx.Err()) {
			t.Errorf("StartS3 = %v, %v with a context that has ended", s, err)
		}
	})
	t.Run("without ServeIfChild", func(t *testing.T) {
		childReady.Store(false)
		defer childReady.Store(true)
		_, err := StartS3(newContext(t), t.TempDir())
		if err == nil || !strings.Contains(err.Error(), "ServeIfChild") {
			t.Errorf("error %v does not name ServeIfChild", err)
		}
	})
}

func TestCloseTellsOfAnEarlyEnd(t *testing.T) {
	s := newS3(t, childConfig{})
	s.process.cmd.Process.Kill()
	<-s.process.done
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Close = %v, want the signal", err)
	}
}

func isListening(endpoint string) bool {
	conn, err := net.Dial("tcp", strings.TrimPrefix(endpoint, "http://"))
	if err == nil {
		conn.Close()
	}
	return err == nil
}
