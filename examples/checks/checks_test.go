package main

import (
	"context"
	"database/sql"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warmcache/warmcache/examples/checks/checktest"
	"github.com/warmcache/warmcache/examples/internal/s3test"
	"github.com/warmcache/warmcache/examples/internal/toll/tolltest"
	"github.com/warmcache/warmcache/filecache"
)

//go:embed testdata/checks.sql
var checksSQL string

var (
	scans *s3test.Server // has the scans, the trained data and the copies
	gate  *tolltest.Gate // counts the statements
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	scans, gate = s3test.New(), tolltest.New()
	for name, value := range scans.Env() {
		os.Setenv(name, value)
	}
	os.Unsetenv("WARMCACHE")
	os.Unsetenv("COUCHDB_URL")
	os.Setenv("ORIGIN_TOLL", gate.Addr())
	os.Setenv("TESSDATA_BUCKET", "models")
	os.Setenv("TESSDATA_KEY", "ocr/eng.traineddata")
	os.Setenv("COPIES_BUCKET", "copies")
	for path, b := range map[string][]byte{
		"/north-bank/ada.png":     checktest.Check("40817263", "1,234.56"),
		"/north-bank/blaise.png":  checktest.Check("55667788", "99.01"),
		"/north-bank/over.png":    checktest.Check("55667788", "200.01"),
		"/north-bank/nobody.png":  checktest.Check("11112222", "1.00"),
		"/north-bank/noise.png":   checktest.Noise(),
		"/north-bank/text.png":    []byte("not an image"),
		"/north-bank/cut.png":     checktest.Check("40817263", "1,234.56")[:2000],
		"/south-bank/charles.png": checktest.Check("40817263", "8,000.00"),
	} {
		scans.Put(path, b)
	}
	code := m.Run()
	scans.Close()
	gate.Close()
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// needsOCR uploads the real trained data under the key that the function reads.
func needsOCR(t *testing.T) {
	t.Helper()
	b, err := checktest.TrainedData()
	if errors.Is(err, checktest.ErrNotInstalled) && os.Getenv("WARMCACHE_TEST_REQUIRE") == "" {
		t.Skip("needs tesseract with its English data: run .ci/install/tesseract")
	}
	if err != nil {
		t.Fatal(err)
	}
	scans.Put("/models/ocr/eng.traineddata", b)
}

// program installs a shell script as the OCR program, and restores the trained data
// in S3.
func program(t *testing.T, script string) {
	t.Helper()
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "tesseract")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TESSERACT", path)
	if scans.Object("/models/ocr/eng.traineddata") == nil {
		scans.Put("/models/ocr/eng.traineddata", []byte("data"))
	}
}

// newContainer makes an empty /tmp, which it returns, and an empty database.
func newContainer(t *testing.T) (tmp string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "checks.db")
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(checksSQL); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHECKS_DB", file)
	return newTmp(t)
}

func newTmp(t *testing.T) (tmp string) {
	t.Helper()
	tmp = t.TempDir()
	t.Setenv("TMPDIR", tmp)
	customers.Clear()
	files = filecache.Must(filecache.New(filecache.Options{MaxAge: filecache.Immutable}))
	before := configuration
	configuration = sync.OnceValues(configure)
	t.Cleanup(func() {
		if s, err := configuration(); err == nil {
			if db, ok := s.db.(sqlite); ok {
				db.Close()
			}
		}
		configuration = before
	})
	scans.Asked()
	return tmp
}

func mustHandle(t *testing.T, bucket, key string) Out {
	t.Helper()
	out, err := handle(t.Context(), In{bucket, key})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func copiesOf(bucket, key string) []string {
	return []string{bucket + "/300/" + key + ".png", bucket + "/150/" + key + ".png"}
}

// everything lists all checks with the expected answers.
var everything = []Out{
	{Key: "ada.png", Status: parsed, Account: "40817263", Customer: "Ada Lovelace", AmountCents: 123456},
	{Bucket: "south-bank", Key: "charles.png", Status: parsed, Account: "40817263", Customer: "Charles Babbage", AmountCents: 800000},
	{Key: "noise.png", Status: rejected, Reason: "there is not one account number to be read"},
	{Key: "blaise.png", Status: parsed, Account: "55667788", Customer: "Blaise Pascal", AmountCents: 9901},
	{Key: "over.png", Status: rejected, Reason: "the amount is over the customer's limit"},
	{Key: "nobody.png", Status: rejected, Reason: "there is no such account"},
	{Key: "text.png", Status: rejected, Reason: "the scan is no image"},
	{Key: "cut.png", Status: rejected, Reason: "the image is damaged"},
	{Key: "none.png", Status: rejected, Reason: "there is no such scan"},
}

func init() {
	for i := range everything {
		out := &everything[i]
		if out.Bucket == "" {
			out.Bucket = "north-bank"
		}
		if !slices.Contains([]string{"text.png", "cut.png", "none.png"}, out.Key) {
			out.Copies = copiesOf(out.Bucket, out.Key)
		}
	}
}

func expectEverything(t *testing.T) {
	t.Helper()
	for _, want := range everything {
		if got := mustHandle(t, want.Bucket, want.Key); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

func TestSameAnswersWithAndWithoutCache(t *testing.T) {
	needsOCR(t)
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		tmp := newContainer(t)
		expectEverything(t)
		expectEverything(t)
		expectNothingLeft(t, tmp)
	}
}

// expectNothingLeft checks that the invocations left no files.
func expectNothingLeft(t *testing.T, tmp string) {
	t.Helper()
	for _, pattern := range []string{"checks-*", "*/*/s/*", "*/s/*", "*.png"} {
		if left, _ := filepath.Glob(filepath.Join(tmp, pattern)); len(left) != 0 {
			t.Errorf("left in /tmp: %v", left)
		}
	}
}

// A bug of other implementations: in a warm container, the OCR of the second check
// fails, and the answer uses the text of the first one.
func TestNothingOfTheFirstCustomer(t *testing.T) {
	needsOCR(t)
	newContainer(t)
	if first := mustHandle(t, "north-bank", "ada.png"); first.Customer != "Ada Lovelace" {
		t.Fatalf("%+v", first)
	}
	for _, garbage := range []string{"noise.png", "text.png", "cut.png"} {
		b, err := json.Marshal(mustHandle(t, "north-bank", garbage))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(b), `"status":"rejected"`) || holdsAnyOf(string(b), "40817263", "123456", "Ada", "Lovelace") {
			t.Errorf("%s: %s", garbage, b)
		}
		if row := record(t, "north-bank", garbage); row.Status != rejected || row.Account != "" || row.Customer != "" || row.AmountCents != 0 {
			t.Errorf("%s: in the database: %+v", garbage, row)
		}
	}
}

func holdsAnyOf(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// record returns the row of a check in the SQLite database.
func record(t *testing.T, bucket, key string) (r Out) {
	t.Helper()
	db, err := sql.Open("sqlite", os.Getenv("CHECKS_DB"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow(`SELECT bank, scan, status, account, customer, amount_cents, reason FROM checks WHERE bank = ? AND scan = ?`, bucket, key).
		Scan(&r.Bucket, &r.Key, &r.Status, &r.Account, &r.Customer, &r.AmountCents, &r.Reason)
	if err != nil {
		t.Fatalf("%s/%s: %v", bucket, key, err)
	}
	return r
}

func TestWhatIsAskedFor(t *testing.T) {
	program(t, "echo 'Account 40817263 $ 1.00'")
	for setting, want := range map[string][2]string{
		"":    {"GET 200, PUT 200, PUT 200, GET 200", "GET 200, PUT 200, PUT 200"},
		"off": {"GET 200, PUT 200, PUT 200, GET 200", "GET 200, PUT 200, PUT 200, GET 200"},
	} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		statements := map[string][]int{"": {2, 1}, "off": {2, 2}}[setting]
		for i := range 2 {
			before := gate.Count()
			mustHandle(t, "north-bank", "ada.png")
			if got := scans.Asked(); got != want[i] {
				t.Errorf("WARMCACHE=%s, invocation %d: sent S3 %s, want %s", setting, i, got, want[i])
			}
			if got := gate.Count() - before; got != statements[i] {
				t.Errorf("WARMCACHE=%s, invocation %d: %d statements, want %d", setting, i, got, statements[i])
			}
		}
	}
}

func TestCopies(t *testing.T) {
	program(t, "echo 'Account 40817263 $ 1.00'")
	newContainer(t)
	out := mustHandle(t, "north-bank", "ada.png")
	for i, width := range []int{300, 150} {
		copied, err := decode(scans.Object("/copies/" + out.Copies[i]))
		if err != nil {
			t.Fatal(err)
		}
		if got := copied.Bounds(); got.Dx() != width || got.Dy() != width*250/600 {
			t.Errorf("%s: %v", out.Copies[i], got)
		}
	}
	if small := resize(image.NewGray(image.Rect(0, 0, 1000, 1)), 150); small.Bounds() != image.Rect(0, 0, 150, 1) {
		t.Errorf("a line becomes %v", small.Bounds())
	}
}

func TestConcurrentInvocations(t *testing.T) {
	needsOCR(t)
	tmp := newContainer(t)
	var invocations sync.WaitGroup
	for i := range 8 {
		invocations.Go(func() {
			for _, want := range []Out{everything[i%2], everything[3]} {
				got, err := handle(t.Context(), In{want.Bucket, want.Key})
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
				}
			}
		})
	}
	invocations.Wait()
	expectNothingLeft(t, tmp)
}

// A failure of the program is not a rejection of the check, and nothing is saved.
func TestOCRFails(t *testing.T) {
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		program(t, "echo 'Account 40817263 $ 1.00'; echo out of memory >&2; exit 1")
		tmp := newContainer(t)
		_, err := handle(t.Context(), In{"north-bank", "ada.png"})
		if err == nil || !strings.Contains(err.Error(), "exit status 1: out of memory") {
			t.Errorf("error = %v", err)
		}
		db, err := sql.Open("sqlite", os.Getenv("CHECKS_DB"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var n int
		if err := db.QueryRow("SELECT count(*) FROM checks").Scan(&n); err != nil || n != 0 {
			t.Errorf("%d records, %v", n, err)
		}
		expectNothingLeft(t, tmp)
	}
}

// The deadline kills the program, and the work space is removed.
func TestOCREndsWithTheInvocation(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	program(t, "echo $$ >"+begun+".new; mv "+begun+".new "+begun+"; exec sleep 60")
	tmp := newContainer(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for !exists(begun) {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if _, err := handle(ctx, In{"north-bank", "ada.png"}); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	pid, _ := os.ReadFile(begun)
	if err := exec.Command("kill", "-0", strings.TrimSpace(string(pid))).Run(); err == nil {
		t.Error("the program is still running")
	}
	expectNothingLeft(t, tmp)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The next invocation removes the files of a killed one.
func TestLeftoversOfAKilledInvocation(t *testing.T) {
	program(t, "echo 'Account 40817263 $ 1.00'")
	tmp := newContainer(t)
	mustHandle(t, "north-bank", "ada.png")
	spaces, err := filepath.Glob(filepath.Join(tmp, "*", "s"))
	if err != nil || len(spaces) != 1 {
		t.Fatalf("%v, %v", spaces, err)
	}
	left := filepath.Join(spaces[0], "left", "tessdata")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	mustHandle(t, "north-bank", "ada.png")
	expectNothingLeft(t, tmp)
}

// Missing trained data is an error, with and without the library. It does not reject
// the check.
func TestNoTrainedData(t *testing.T) {
	program(t, "exit 1")
	t.Setenv("TESSDATA_KEY", "ocr/fra.traineddata")
	for _, setting := range []string{"", "off"} {
		t.Setenv("WARMCACHE", setting)
		newContainer(t)
		_, err := handle(t.Context(), In{"north-bank", "ada.png"})
		if err == nil || !strings.Contains(err.Error(), "trained data") || !strings.Contains(err.Error(), "NoSuchKey") {
			t.Errorf("WARMCACHE=%s: error = %v", setting, err)
		}
	}
}

// A host may repeat an event: the record is replaced.
func TestRepeatedEvent(t *testing.T) {
	amount := filepath.Join(t.TempDir(), "amount")
	program(t, "echo 'Account 40817263 $' $(cat "+amount+")")
	newContainer(t)
	for _, read := range []string{"1.00", "2.00"} {
		if err := os.WriteFile(amount, []byte(read), 0o600); err != nil {
			t.Fatal(err)
		}
		mustHandle(t, "north-bank", "ada.png")
	}
	if r := record(t, "north-bank", "ada.png"); r.AmountCents != 200 {
		t.Errorf("%+v", r)
	}
}

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		text, account string
		cents         int64
		reason        string
	}{
		{"Amount $ 1,234.56\nAccount 40817263", "40817263", 123456, ""},
		{"ACCOUNT: 408172\n$0.01", "408172", 1, ""},
		{"$ 123,456,789.00 account 40817263", "40817263", 12345678900, ""},
		{"", "", 0, "account number"},
		{"Account 4O817263 $ 1.00", "", 0, "account number"}, // a letter
		{"Account 40817263 Account 40817264 $ 1.00", "", 0, "account number"},
		{"Account 40817263", "", 0, "amount"},
		{"Account 40817263 $ 1.0", "", 0, "amount"},
		{"Account 40817263 $ 1.00 $ 2.00", "", 0, "amount"},
		{"Account 40817263 1.00", "", 0, "amount"},
		{"Account 40817263 $ 1.000", "", 0, "amount"},
	} {
		account, cents, err := parse(tt.text)
		var why rejection
		errors.As(err, &why)
		if account != tt.account || cents != tt.cents || !strings.Contains(string(why), tt.reason) || (why == "") != (tt.reason == "") {
			t.Errorf("%q: %q, %d, %v", tt.text, account, cents, err)
		}
	}
}

func TestInvalid(t *testing.T) {
	newContainer(t)
	for _, in := range []In{{}, {Bucket: "b"}, {Key: "k"}} {
		if _, err := handle(t.Context(), in); err == nil || !strings.Contains(err.Error(), "no bucket or no key") {
			t.Errorf("%+v: error = %v", in, err)
		}
	}
	for name, value := range map[string]string{
		"TESSDATA_BUCKET": "", "TESSDATA_KEY": "eng", "COPIES_BUCKET": "", "CHECKS_DB": "", "COUCHDB_URL": "http://%zz",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			if _, err := configure(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// A small file can hold an image that needs all of the memory.
func TestLargeImage(t *testing.T) {
	scans.Put("/north-bank/large.png", largePNG)
	newContainer(t)
	if out := mustHandle(t, "north-bank", "large.png"); out.Reason != "the image is too large" {
		t.Errorf("%+v", out)
	}
}

// largePNG returns the header of an image of 100,000 by 100,000 pixels.
var largePNG = func() []byte {
	chunk := []byte("IHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x00\x00\x00\x00")
	b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\r"), chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}()
