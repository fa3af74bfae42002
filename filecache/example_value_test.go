package filecache_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"text/template"
	"time"

	"github.com/warmcache/warmcache/filecache"
)

// rules stands for an S3 object: settings.Object("rules.json").
type rules struct{ body string }

func (*rules) ID() (filecache.ID, error) {
	return filecache.ID{Origin: "example://settings", Name: "rules.json"}, nil
}

func (r *rules) Fetch(ctx context.Context, req filecache.Request) (*filecache.Response, error) {
	etag := fmt.Sprintf("%q", r.body)
	if req.IfNoneMatch == etag {
		fmt.Println("origin: not modified")
		return &filecache.Response{NotModified: true}, nil
	}
	fmt.Println("origin: sends the rules")
	return &filecache.Response{Body: io.NopCloser(bytes.NewReader([]byte(r.body))), Size: int64(len(r.body)), ETag: etag}, nil
}

type ruleset struct{ Limit int }

func parseRules(ctx context.Context, f *filecache.File) (*ruleset, error) {
	fmt.Println("parsing")
	var r ruleset
	if err := json.NewDecoder(f).Decode(&r); err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return &r, nil
}

// The rules are parsed once for each version of the object, however many invocations
// use them.
func ExampleNewValue() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	object := &rules{`{"Limit": 10}`}

	// In a function: package-level variables, no Dir, and a MaxAge of minutes.
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Nanosecond}))
	current := filecache.NewValue(files, object, parseRules)

	handle := func(ctx context.Context) error {
		r, err := current.Get(ctx)
		if err != nil {
			return err
		}
		fmt.Println("limit", r.Limit)
		return nil
	}
	for i := range 3 { // invocations of one container, each after MaxAge
		if i == 2 {
			object.body = `{"Limit": 20}`
		}
		if err := handle(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// origin: sends the rules
	// parsing
	// limit 10
	// origin: not modified
	// limit 10
	// origin: sends the rules
	// parsing
	// limit 20
}

// database stands for a value with resources, such as a memory map.
type database struct{ body string }

func openDatabase(ctx context.Context, f *filecache.File) (*database, error) {
	b, err := io.ReadAll(f)
	return &database{string(b)}, err
}

func (db *database) Close() error {
	fmt.Println("closed", db.body)
	return nil
}

// A replaced value is closed when its last user has released it.
func ExampleValue_Acquire() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	object := &rules{"v1"}
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	current := filecache.NewValueWith(files, object, filecache.ValueOptions[*database]{
		Parse: openDatabase,
		Close: (*database).Close,
	})

	db, release, err := current.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	object.body = "v2"
	newer, releaseNewer, err := current.Acquire(context.Background()) // another invocation
	if err != nil {
		fmt.Println(err)
		return
	}
	defer releaseNewer()
	fmt.Println("using", db.body, "and", newer.body)
	release()
	// Output:
	// origin: sends the rules
	// origin: sends the rules
	// using v1 and v2
	// closed v1
}

// The Cache keeps the decompressed file, and makes it again when the object changes.
func ExampleGunzip() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	io.WriteString(w, `{"Limit": 30}`)
	w.Close()
	object := &rules{packed.String()} // settings.Object("rules.json.gz")

	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	const limit = 10 << 20 // bytes, unpacked
	current := filecache.NewValue(files, filecache.Gunzip(object, limit), parseRules)
	for range 2 {
		r, err := current.Get(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("limit", r.Limit)
	}
	// Output:
	// origin: sends the rules
	// parsing
	// limit 30
	// limit 30
}

// A Cache can keep any conversion of an object.
func ExampleDerived() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))

	// Change the name whenever the function changes.
	upper := filecache.Derived(&rules{"lamp"}, "upper-v1", func(ctx context.Context, src *filecache.File, dst io.Writer) error {
		b, err := io.ReadAll(src)
		if err != nil {
			return err
		}
		_, err = dst.Write(bytes.ToUpper(b))
		return err
	})
	path, release, err := files.Path(context.Background(), upper)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer release()
	b, err := os.ReadFile(path)
	fmt.Println(string(b), err)
	// Output:
	// origin: sends the rules
	// LAMP <nil>
}

// A version that cannot be parsed does not break the function: the last value that could
// be parsed is returned for up to an hour.
func ExampleNewValueWith() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Nanosecond}))
	object := &rules{`{"Limit": 10}`}
	current := filecache.NewValueWith(files, object, filecache.ValueOptions[*ruleset]{
		Parse:          parseRules,
		StaleIfInvalid: time.Hour,
	})

	for _, body := range []string{`{"Limit": 10}`, `{"Limit": `} {
		object.body = body
		r, err := current.Get(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("limit", r.Limit)
	}
	s := current.Stats()
	fmt.Println("failures:", s.Failures, "invalid served:", s.InvalidServed)
	// Output:
	// origin: sends the rules
	// parsing
	// limit 10
	// origin: sends the rules
	// parsing
	// limit 10
	// failures: 1 invalid served: 1
}

// The template is compiled once for all invocations.
func ExampleValue_Get() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	greeting := filecache.NewValue(files, shelf{"welcome.txt": "Welcome, {{.}}!\n"}.Object("welcome.txt"),
		func(ctx context.Context, f *filecache.File) (*template.Template, error) {
			text, err := io.ReadAll(f)
			if err != nil {
				return nil, err
			}
			return template.New("welcome").Parse(string(text))
		})

	for _, name := range []string{"Ann", "Bob"} { // two invocations
		t, err := greeting.Get(context.Background())
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := t.Execute(os.Stdout, name); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// fetching welcome.txt
	// Welcome, Ann!
	// Welcome, Bob!
}

// A test closes the Value, and with it the database that it opened.
func ExampleValue_Close() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir}))
	current := filecache.NewValueWith(files, &rules{"v1"}, filecache.ValueOptions[*database]{
		Parse: openDatabase,
		Close: (*database).Close,
	})
	db, release, err := current.Acquire(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("using", db.body)
	release()

	if err := current.Close(); err != nil {
		fmt.Println(err)
	}
	_, _, err = current.Acquire(context.Background())
	fmt.Println(errors.Is(err, fs.ErrClosed))
	// Output:
	// origin: sends the rules
	// using v1
	// closed v1
	// true
}

// The counts are logged at the end of an invocation, without those that are zero.
func ExampleValue_Stats() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	files := filecache.Must(filecache.New(filecache.Options{Dir: dir, MaxAge: time.Minute}))
	current := filecache.NewValue(files, &rules{`{"Limit": 10}`}, parseRules)
	for range 3 {
		if _, err := current.Get(context.Background()); err != nil {
			fmt.Println(err)
		}
	}

	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutZeros}))
	log.Info("invocation", "rules", current.Stats())
	// Output:
	// origin: sends the rules
	// parsing
	// level=INFO msg=invocation rules.hits=2 rules.parses=1
}
