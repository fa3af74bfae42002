package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/filecache"
)

// pictures is the bucket of the tests.
var pictures *fakeS3

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	pictures = newFakeS3()
	for name, value := range map[string]string{
		"THUMBNAIL_BUCKET":      "pictures",
		"S3_PATH_STYLE":         "1",
		"AWS_ENDPOINT_URL_S3":   pictures.URL,
		"AWS_REGION":            "eu-central-1",
		"AWS_ACCESS_KEY_ID":     "test",
		"AWS_SECRET_ACCESS_KEY": "test",
		// Do not use the developer's own configuration.
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_PROFILE":                 "",
		"AWS_CA_BUNDLE":               "",
	} {
		os.Setenv(name, value)
	}
	code := m.Run()
	pictures.Close()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// newContainer simulates a new process with an empty temporary directory, which it
// returns, and empties the bucket.
func newContainer(t *testing.T) (tmp string) {
	t.Helper()
	pictures.clear(false)
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	newProcess(tmp)
	return tmp
}

// newProcess simulates a new process with tmp as its temporary directory.
func newProcess(tmp string) {
	files = filecache.Must(filecache.New(filecache.Options{Dir: tmp, MaxAge: time.Minute}))
}

var (
	red   = color.RGBA{200, 30, 30, 255}
	green = color.RGBA{30, 200, 30, 255}
	blue  = color.RGBA{30, 30, 200, 255}
)

// picture returns an image with one color on the left and another on the right.
func picture(w, h int, left, right color.Color) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(img, img.Bounds(), image.NewUniform(right), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(0, 0, w/2, h), image.NewUniform(left), image.Point{}, draw.Src)
	return img
}

func jpegOf(img image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func pngOf(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// wantPicture checks an uploaded thumbnail.
func wantPicture(t *testing.T, out Out, format string, left, right color.Color) {
	t.Helper()
	o := pictures.get(out.Key)
	img, got, err := image.Decode(bytes.NewReader(o.bytes))
	if err != nil || got != format || o.kind != "image/"+format {
		t.Fatalf("%s is a %q of type %s, %v", out.Key, got, o.kind, err)
	}
	if b := img.Bounds(); b.Dx() != out.Width || b.Dy() != out.Height || int64(len(o.bytes)) != out.Bytes {
		t.Errorf("%v and %d bytes, the answer says %+v", b, len(o.bytes), out)
	}
	for x, want := range map[int]color.Color{out.Width / 8: left, out.Width * 7 / 8: right} {
		if got := img.At(x, out.Height/2); !alike(got, want) {
			t.Errorf("%s: at %d is %v, want %v", out.Key, x, got, want)
		}
	}
}

// alike reports whether two colors are equal up to the loss of JPEG.
func alike(a, b color.Color) bool {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	const most = 8 << 8
	near := func(x, y uint32) bool { return max(x, y)-min(x, y) < most }
	return near(r1, r2) && near(g1, g2) && near(b1, b2)
}

// do answers in and fails the test on an error. It is safe for concurrent use.
func do(t *testing.T, in In) Out {
	t.Helper()
	out, err := handle(t.Context(), in)
	if err != nil {
		t.Errorf("%+v: %v", in, err)
	}
	return out
}

// eachSetting runs a test with the library and without it.
func eachSetting(t *testing.T, test func(t *testing.T)) {
	for _, setting := range []string{"", "off"} {
		t.Run("WARMCACHE="+setting, func(t *testing.T) {
			t.Setenv("WARMCACHE", setting)
			test(t)
		})
	}
}

func TestThumbnails(t *testing.T) {
	eachSetting(t, func(t *testing.T) {
		newContainer(t)
		pictures.put("images/blue/wide.jpg", jpegOf(picture(400, 200, red, blue)))
		pictures.put("images/blue/a/tall.png", pngOf(picture(100, 300, green, red)))
		for _, test := range []struct {
			in          In
			want        Out
			format      string
			left, right color.Color
		}{
			{In{"blue", "wide.jpg", 100}, Out{Key: "thumbnails/100/blue/wide.jpg", Width: 100, Height: 50}, "jpeg", red, blue},
			{In{"blue", "wide.jpg", 40}, Out{Key: "thumbnails/40/blue/wide.jpg", Width: 40, Height: 20}, "jpeg", red, blue},
			{In{"blue", "a/tall.png", 60}, Out{Key: "thumbnails/60/blue/a/tall.png", Width: 20, Height: 60}, "png", green, red},
			{In{"blue", "wide.jpg", 1000}, Out{Key: "thumbnails/1000/blue/wide.jpg", Width: 400, Height: 200}, "jpeg", red, blue},
		} {
			got := do(t, test.in)
			wantPicture(t, got, test.format, test.left, test.right)
			got.Bytes = 0
			if got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		}
		if all := pictures.keys("thumbnails/"); len(all) != 4 {
			t.Errorf("%q", all)
		}
	})
}

func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	events := []In{{"blue", "cat.jpg", 50}, {"green", "cat.jpg", 50}, {"blue", "cat.jpg", 20}, {"blue", "dog.jpg", 50}, {"blue", "text", 50}, {"green", "cat.jpg", 50}}
	type result struct {
		out Out
		err string
		crc uint32 // of the upload
	}
	play := func(before func()) (results []result) {
		for _, in := range events {
			before()
			out, err := handle(t.Context(), in)
			text := fmt.Sprint(err)
			if errors.Is(err, fs.ErrNotExist) || strings.Contains(text, "NoSuchKey") {
				text = "no such image" // without the request's ID
			}
			results = append(results, result{out, text, crc32.ChecksumIEEE(pictures.get(out.Key).bytes)})
		}
		return results
	}
	tmp := newContainer(t)
	for tenant, c := range map[string]color.Color{"blue": blue, "green": green} {
		pictures.put("images/"+tenant+"/cat.jpg", jpegOf(picture(200, 100, c, red)))
	}
	pictures.put("images/blue/text", []byte("no image"))
	nothing := func() {}
	t.Setenv("WARMCACHE", "off")
	want := play(nothing)
	t.Setenv("WARMCACHE", "")
	for name, before := range map[string]func(){
		"cold":      func() { newProcess(t.TempDir()) },
		"warm":      nothing,
		"restarted": func() { newProcess(tmp) },
	} {
		if got := play(before); !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v\nwithout the cache:\n%+v", name, got, want)
		}
	}
	if want[0].crc == want[1].crc || want[0].crc == 0 || want[3].err != "no such image" || !strings.Contains(want[4].err, "unknown format") {
		t.Errorf("%+v", want)
	}
}

func TestSourceIsFetchedOnce(t *testing.T) {
	for setting, want := range map[string]string{"": "GET 200, PUT 200, PUT 200", "off": "GET 200, PUT 200, GET 200, PUT 200"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		pictures.put("images/blue/cat.jpg", jpegOf(picture(200, 100, red, blue)))
		for _, size := range []int{50, 20} {
			do(t, In{"blue", "cat.jpg", size})
		}
		if got := pictures.asked(); got != want {
			t.Errorf("WARMCACHE=%s sent S3 %q, want %q", setting, got, want)
		}
	}
}

func TestConcurrentInvocations(t *testing.T) {
	eachSetting(t, func(t *testing.T) {
		tmp := newContainer(t)
		colours := map[string]color.Color{"blue": blue, "green": green}
		for tenant, c := range colours {
			pictures.put("images/"+tenant+"/cat.png", pngOf(picture(200, 100, c, red)))
		}
		var invocations sync.WaitGroup
		for range 4 {
			for tenant := range colours {
				invocations.Go(func() {
					for size := 10; size < 60; size += 10 {
						do(t, In{tenant, "cat.png", size})
					}
				})
			}
		}
		invocations.Wait()
		for tenant, c := range colours {
			for size := 10; size < 60; size += 10 {
				key := In{tenant, "cat.png", size}.thumbnail()
				wantPicture(t, Out{key, size, size / 2, int64(len(pictures.get(key).bytes))}, "png", c, red)
			}
		}
		wantNothingLeft(t, tmp)
	})
}

// wantNothingLeft checks that earlier invocations left no files.
func wantNothingLeft(t *testing.T, tmp string) {
	t.Helper()
	filepath.WalkDir(tmp, func(path string, d fs.DirEntry, err error) error {
		if d != nil && (d.Name() == "thumbnail" || strings.HasPrefix(d.Name(), "source") || filepath.Base(filepath.Dir(path)) == "s") {
			t.Errorf("left: %s", path)
		}
		return err
	})
}

// bomb is a small PNG that claims large dimensions.
func bomb(w, h uint32) []byte {
	b := pngOf(picture(10, 10, red, blue))
	const header = 12 // after the signature and the length; its type follows
	binary.BigEndian.PutUint32(b[header+4:], w)
	binary.BigEndian.PutUint32(b[header+8:], h)
	binary.BigEndian.PutUint32(b[header+17:], crc32.ChecksumIEEE(b[header:header+17]))
	return b
}

// For a source that is not a valid image, nothing is uploaded, not even the result
// of an earlier invocation, and no file is left.
func TestBadSources(t *testing.T) {
	good := pngOf(picture(100, 100, red, blue))
	eachSetting(t, func(t *testing.T) {
		tmp := newContainer(t)
		pictures.put("images/blue/good", good)
		do(t, In{"blue", "good", 10})
		for name, test := range map[string]struct {
			source []byte
			want   string
		}{
			"empty":       {nil, "unknown format"},
			"text":        {[]byte("no image"), "unknown format"},
			"gif":         {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00"), "unknown format"},
			"cut":         {good[:len(good)/2], ""},
			"cut jpeg":    {jpegOf(picture(100, 100, red, blue))[:400], ""},
			"bomb":        {bomb(100_000, 100_000), "100000 x 100000 pixels"},
			"just a bomb": {bomb(maxPixels+1, 1), "24000001 x 1 pixels"},
			"overflow":    {bomb(1<<31-1, 1<<31-1), ""},
			"no pixels":   {bomb(0, 10), ""},
		} {
			pictures.put("images/blue/bad", test.source)
			newProcess(tmp)
			files.Clear()
			out, err := handle(t.Context(), In{"blue", "bad", 10})
			if err == nil || !strings.Contains(err.Error(), test.want) || out != (Out{}) {
				t.Errorf("%s: %+v, %v, want an error that says %q", name, out, err, test.want)
			}
			wantNothingLeft(t, tmp)
		}
		if all := pictures.keys("thumbnails/"); len(all) != 1 {
			t.Errorf("uploaded: %q", all)
		}
	})
}

// A large image is rejected before its memory is allocated.
func TestDecodeLooksAtTheSizeFirst(t *testing.T) {
	source := bytes.NewReader(bomb(1<<16, 1<<16))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := decode(source)
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; err == nil || allocated > 1<<20 {
		t.Errorf("%v, and %d bytes of memory", err, allocated)
	}
	if _, _, err := decode(bytes.NewReader(bomb(6000, 4000))); err == nil || strings.Contains(err.Error(), "it must have") {
		t.Errorf("24 megapixels: %v, want the error of a file that ends early", err)
	}
}

func TestMissingSource(t *testing.T) {
	eachSetting(t, func(t *testing.T) {
		newContainer(t)
		_, err := handle(t.Context(), In{"blue", "cat.jpg", 10})
		if err == nil || !strings.Contains(err.Error(), "NoSuchKey") || !strings.HasPrefix(err.Error(), "thumbnail of images/blue/cat.jpg: ") {
			t.Errorf("error = %v", err)
		}
	})
}

func TestUploadThatFails(t *testing.T) {
	eachSetting(t, func(t *testing.T) {
		tmp := newContainer(t)
		pictures.clear(true)
		pictures.put("images/blue/cat.jpg", jpegOf(picture(200, 100, red, blue)))
		if _, err := handle(t.Context(), In{"blue", "cat.jpg", 10}); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("error = %v", err)
		}
		wantNothingLeft(t, tmp)
	})
}

// The work needs a disk, and the error says so.
func TestNoDisk(t *testing.T) {
	tmp := newContainer(t)
	pictures.put("images/blue/cat.jpg", jpegOf(picture(200, 100, red, blue)))
	file := filepath.Join(tmp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newProcess(file)
	if _, err := handle(t.Context(), In{"blue", "cat.jpg", 10}); !errors.Is(err, filecache.ErrNoDisk) {
		t.Errorf("error = %v", err)
	}
	newProcess(tmp)
	do(t, In{"blue", "cat.jpg", 10})
}

func TestFit(t *testing.T) {
	for _, test := range []struct{ w, h, size, wantW, wantH int }{
		{400, 200, 100, 100, 50},
		{200, 400, 100, 50, 100},
		{100, 100, 100, 100, 100},
		{99, 3, 100, 99, 3},
		{1000, 1, 100, 100, 1},
		{3, 2, 2, 2, 1},
		{1, 1, 1, 1, 1},
		{maxPixels, 1, maxSide, maxSide, 1},
	} {
		at := image.Rect(7, -7, 7+test.w, -7+test.h)
		if got := fit(at, test.size); got != image.Rect(0, 0, test.wantW, test.wantH) {
			t.Errorf("%d x %d in %d: %v", test.w, test.h, test.size, got)
		}
	}
}

// The tenant of the host overrides the one in the event.
func TestTenantOfTheHost(t *testing.T) {
	newContainer(t)
	for _, tenant := range []string{"blue", "green"} {
		pictures.put("images/"+tenant+"/cat.jpg", jpegOf(picture(20, 10, red, blue)))
	}
	for _, test := range []struct{ host, event, want string }{
		{"", "blue", "thumbnails/10/blue/cat.jpg"},
		{"green", "", "thumbnails/10/green/cat.jpg"},
		{"green", "blue", "thumbnails/10/green/cat.jpg"},
	} {
		ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{TenantID: test.host})
		if out, err := handleFor(ctx, In{test.event, "cat.jpg", 10}); err != nil || out.Key != test.want {
			t.Errorf("host %q, event %q: %+v, %v", test.host, test.event, out, err)
		}
	}
}

func TestInvalidEvents(t *testing.T) {
	newContainer(t)
	long := strings.Repeat("x", maxName+1)
	for _, test := range []struct {
		in   In
		want string
	}{
		{In{"", "cat.jpg", 10}, "needs a tenant"},
		{In{"..", "cat.jpg", 10}, "needs a tenant"},
		{In{"blue/ann", "cat.jpg", 10}, "needs a tenant"},
		{In{"blue", "", 10}, `name is ""`},
		{In{"blue", "../green/cat.jpg", 10}, "name is"},
		{In{"blue", "/cat.jpg", 10}, "name is"},
		{In{"blue", long, 10}, "longer than 200"},
		{In{"blue", "cat.jpg", 0}, "size is 0"},
		{In{"blue", "cat.jpg", maxSide + 1}, "size is 1025"},
	} {
		if _, err := handle(t.Context(), test.in); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: error = %v, want it to say %q", test.in, err, test.want)
		}
	}
	if got := pictures.asked(); got != "" {
		t.Errorf("sent S3 %q", got)
	}
	t.Setenv("THUMBNAIL_BUCKET", "")
	if _, err := newBucket(); err == nil || !strings.Contains(err.Error(), "THUMBNAIL_BUCKET is not set") {
		t.Errorf("error = %v", err)
	}
}

// Two sizes of one image: the source is fetched once.
func Example() {
	tmp, err := os.MkdirTemp("", "thumbnail")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(tmp)
	newProcess(tmp)
	pictures.clear(false)
	pictures.put("images/blue/cat.jpg", jpegOf(picture(800, 600, red, blue)))
	for _, size := range []int{200, 80} {
		out, err := handle(context.Background(), In{Tenant: "blue", Name: "cat.jpg", Size: size})
		fmt.Println(out.Key, out.Width, out.Height, err, pictures.asked())
	}
	// Output:
	// thumbnails/200/blue/cat.jpg 200 150 <nil> GET 200, PUT 200
	// thumbnails/80/blue/cat.jpg 80 60 <nil> PUT 200
}
