package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/warmcache/warmcache/bench/checkout"
	"github.com/warmcache/warmcache/bench/host"
	"github.com/warmcache/warmcache/examples/checks/checktest"
	"github.com/warmcache/warmcache/examples/model/table"
	"github.com/warmcache/warmcache/examples/rules/ruleset"
	"github.com/warmcache/warmcache/examples/secret/secrettest"
	"github.com/warmcache/warmcache/examples/token/tokentest"
)

// example is an action to measure.
type example struct {
	name  string
	env   func(*origins) []string
	event func(round int) string

	prepare func(context.Context, example, *origins) error // creates its data; errSkip skips the example
	varies  bool                                           // its answers differ each time, so they are not compared
	same    bool                                           // it does not use the library, so it has no state without it
	every   int                                            // if not 0, one in that many rounds measures it, with fewer warm invocations

	binary string
}

const (
	modelBucket  = "models"
	modelKey     = "prices-eu.bin"
	modelRecords = 12 << 20 / table.RecordSize // 12 MiB
	imageBucket  = "images"
	scanBucket   = "north-bank"
	copyBucket   = "copies"
	ocrKey       = "ocr/eng.traineddata"
	guest        = "guest" // a tenant; on OpenWhisk it must be the namespace
	rulesBucket  = "settings"
	rulesKey     = "rules.json"
	rulesCount   = 20_000 // 1 MB of JSON
)

// examples are the actions to measure.
var examples = []example{{
	name: "catalog",
	env:  func(o *origins) []string { return o.databaseEnv("CATALOG_DB") },
	event: func(round int) string {
		return fmt.Sprintf(`{"tenant":%q,"sku":"lamp","quantity":%d}`, []string{"blue", "green"}[round%2], 1+round%5)
	},
	prepare: func(ctx context.Context, _ example, o *origins) error {
		return fill(ctx, o.database("CATALOG_DB"), "catalog/testdata/catalog.sql")
	},
}, {
	name: "model",
	env:  func(o *origins) []string { return o.s3Env("MODEL_BUCKET="+modelBucket, "MODEL_KEY="+modelKey) },
	event: func(round int) string {
		first := round * 7919 % modelRecords
		missing := table.ID(first) + 1
		return fmt.Sprintf(`{"ids":[%d,%d,%d]}`, table.ID(first), table.ID(modelRecords-1-first), missing)
	},
}, {
	name:    "session",
	env:     func(o *origins) []string { return o.databaseEnv("SESSION_DB") },
	event:   func(int) string { return fmt.Sprintf(`{"tenant":%q,"do":"request","session":%q}`, guest, loggedIn) },
	prepare: logIn,
}, {
	name:    "thumbnail",
	env:     func(o *origins) []string { return o.s3Env("THUMBNAIL_BUCKET=" + imageBucket) },
	event:   func(int) string { return `{"tenant":"` + guest + `","name":"hills.jpg","size":200}` },
	prepare: putImage,
	every:   2,
}, {
	name: "checks",
	env: func(o *origins) []string {
		return append(o.s3Env("TESSDATA_BUCKET="+modelBucket, "TESSDATA_KEY="+ocrKey, "COPIES_BUCKET="+copyBucket), o.databaseEnv("CHECKS_DB")...)
	},
	event:   func(int) string { return `{"bucket":"` + scanBucket + `","key":"ada.png"}` },
	prepare: putChecks,
	every:   10,
}, {
	name:   "counter",
	env:    func(*origins) []string { return nil },
	event:  func(int) string { return "{}" },
	varies: true,
	same:   true,
}, {
	name:   "presign",
	env:    func(o *origins) []string { return o.s3Env("PRESIGN_BUCKET=" + modelBucket) },
	event:  func(int) string { return `{"tenant":"blue","user":"ann","do":"get","name":"2026/scan.tiff"}` },
	varies: true,
}, {
	name:    "rules",
	env:     func(o *origins) []string { return o.s3Env("RULES_BUCKET="+rulesBucket, "RULES_KEY="+rulesKey) },
	event:   rulesEvent,
	prepare: putRules,
}, {
	name:  "secret",
	env:   func(o *origins) []string { return append(secretServer.Env("SECRET_ID"), "ORIGIN_TOLL="+o.latencyProxy) },
	event: func(int) string { return `{"account":"700"}` },
	prepare: func(ctx context.Context, _ example, _ *origins) error {
		secretServer = secrettest.New()
		context.AfterFunc(ctx, secretServer.Close)
		return nil
	},
}, {
	name:  "token",
	env:   func(o *origins) []string { return append(tokentest.Env(tokenURL), "ORIGIN_TOLL="+o.latencyProxy) },
	event: func(int) string { return fmt.Sprintf(`{"token":%q}`, callersToken) },
	prepare: func(ctx context.Context, _ example, _ *origins) error {
		s := tokentest.New()
		l := httptest.NewServer(s)
		context.AfterFunc(ctx, l.Close)
		tokenURL, callersToken = l.URL, s.Token("ann", "k1")
		return nil
	},
}}

// The servers of secret and token live as long as the measurement.
var (
	secretServer           *secrettest.Server
	tokenURL, callersToken string
)

// errSkip means that a program that the example needs is not installed.
var errSkip = errors.New("skipped")

// lives returns the number of rounds that measure it.
func (e example) lives(rounds int) int {
	if e.every == 0 {
		return rounds
	}
	return max(rounds/e.every, 1)
}

// warm returns the number of warm invocations in a life.
func (e example) warm() int {
	if e.every > 0 {
		return 2
	}
	return 5
}

// build builds the example actions into dir.
func build(ctx context.Context, dir string) ([]example, error) {
	built := slices.Clone(examples)
	var names []string
	for i := range built {
		built[i].binary = filepath.Join(dir, built[i].name)
		names = append(names, built[i].name)
	}
	return built, checkout.Build(ctx, dir, names...)
}

func (e example) lambda(o *origins, env ...string) host.Lambda {
	return host.Lambda{
		Binary:      e.binary,
		Name:        e.name,
		Env:         append(e.env(o), env...),
		Timeout:     5 * time.Minute, // it must not end a measurement on a busy machine
		InitTimeout: 5 * time.Minute,
		MemoryMB:    512,
		Logs:        os.Stderr,
	}
}

func (e example) openWhisk(o *origins, env ...string) host.OpenWhisk {
	return host.OpenWhisk{Binary: e.binary, Name: e.name, Env: append(e.env(o), env...), Logs: os.Stderr}
}

// fill creates a SQLite database from the example's script.
func fill(ctx context.Context, file, script string) error {
	dir, err := checkout.Examples()
	if err != nil {
		return err
	}
	statements, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(script)))
	if err != nil {
		return err
	}
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, string(statements))
	return err
}

// loggedIn is the session that the events use.
var loggedIn string

// logIn creates the session with the action.
func logIn(ctx context.Context, e example, o *origins) error {
	env, err := e.lambda(o).Environment()
	if err != nil {
		return err
	}
	defer env.Close()
	res, err := env.Invoke(ctx, fmt.Appendf(nil, `{"tenant":%q,"do":"login","user":"ann"}`, guest))
	if err != nil {
		return err
	}
	if res.FunctionError != nil {
		return res.FunctionError
	}
	var out struct{ Session string }
	err = json.Unmarshal(res.Payload, &out)
	loggedIn = out.Session
	return err
}

// putImage stores a picture that does not compress well.
func putImage(ctx context.Context, _ example, o *origins) error {
	m := image.NewRGBA(image.Rect(0, 0, 800, 600))
	for y := range 600 {
		for x := range 800 {
			m.SetRGBA(x, y, color.RGBA{uint8(x * y / 1000), uint8(x*x/3000 + y), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		return err
	}
	return errors.Join(o.S3.CreateBucket(ctx, imageBucket), o.S3.Put(ctx, imageBucket, "images/"+guest+"/hills.jpg", b.Bytes()))
}

// putChecks stores a scan, the data of the OCR program and the customers.
func putChecks(ctx context.Context, _ example, o *origins) error {
	data, err := checktest.TrainedData()
	if errors.Is(err, checktest.ErrNotInstalled) {
		return fmt.Errorf("%w: it reads scans with tesseract: %w", errSkip, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(
		o.S3.CreateBucket(ctx, scanBucket), o.S3.CreateBucket(ctx, copyBucket),
		o.S3.Put(ctx, modelBucket, ocrKey, data),
		o.S3.Put(ctx, scanBucket, "ada.png", checktest.Check("40817263", "1,234.56")),
		fill(ctx, o.database("CHECKS_DB"), "checks/testdata/checks.sql"))
}

func rulesEvent(round int) string {
	return fmt.Sprintf(`{"cart":[{"article":"A%05d-blue","quantity":%d,"cents":1999}]}`, round*7919%rulesCount, 1+round%10)
}

func putRules(ctx context.Context, _ example, o *origins) error {
	return errors.Join(o.S3.CreateBucket(ctx, rulesBucket), o.S3.Put(ctx, rulesBucket, rulesKey, ruleset.Make(rulesCount, "1")))
}
