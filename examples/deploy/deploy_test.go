package deploy

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/awslabs/goformation/v7"
	"github.com/awslabs/goformation/v7/cloudformation/serverless"
	"gopkg.in/yaml.v3"
)

// forEachAction runs a test for each example that is an action: a directory with a main
// function and a README.
func forEachAction(t *testing.T, test func(t *testing.T, dir, name string)) {
	mains, err := filepath.Glob("../*/main.go")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, main := range mains {
		dir := filepath.Dir(main)
		if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
			continue
		}
		n++
		t.Run(filepath.Base(dir), func(t *testing.T) { test(t, dir, filepath.Base(dir)) })
	}
	if n < 12 {
		t.Errorf("%d actions: there were 12", n)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// source returns the source code of the program.
func source(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, f := range files {
		if !strings.HasSuffix(f, "_test.go") {
			all.WriteString(read(t, "", f))
		}
	}
	return all.String()
}

// goformation refuses properties that a resource does not have.
func TestTemplates(t *testing.T) {
	forEachAction(t, func(t *testing.T, dir, name string) {
		template, err := goformation.Open(filepath.Join(dir, "template.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		f, err := template.GetServerlessFunctionWithName("Function")
		if err != nil {
			t.Fatal(err)
		}
		code := source(t, dir)
		checkCode(t, f, name)
		if f.MemorySize == nil || *f.MemorySize < 128 || f.Timeout == nil || *f.Timeout < 1 || *f.Timeout > 900 {
			t.Error("the function needs a memory size and a time-out within Lambda's limits")
		}
		if keepsFiles := strings.Contains(code, "filecache.New("); keepsFiles != (f.EphemeralStorage != nil) {
			t.Errorf("keeps files in /tmp: %v, ephemeral storage: %v", keepsFiles, f.EphemeralStorage)
		}
		if f.EphemeralStorage != nil && (f.EphemeralStorage.Size < 512 || f.EphemeralStorage.Size > 10240) {
			t.Errorf("%v MB of ephemeral storage", f.EphemeralStorage.Size)
		}
		if f.Environment != nil {
			for variable := range f.Environment.Variables {
				if !strings.Contains(code, `"`+variable+`"`) {
					t.Errorf("the program does not read %s", variable)
				}
			}
		}
		checkText(t, read(t, dir, "template.yaml"), template.Parameters)
	})
}

func checkCode(t *testing.T, f *serverless.Function, name string) {
	t.Helper()
	if f.PackageType != nil && *f.PackageType == "Image" {
		return
	}
	want := "../bin/" + name + "-lambda.zip"
	if f.CodeUri == nil || f.CodeUri.String == nil || *f.CodeUri.String != want {
		t.Errorf("the code must be %s, which go run ./zip writes", want)
	}
	if f.Runtime == nil || *f.Runtime != "provided.al2023" || f.Handler == nil || *f.Handler != "bootstrap" {
		t.Error("the runtime must be provided.al2023 and the handler bootstrap")
	}
	if !slices.Equal(f.Architectures, []string{"x86_64"}) { // the default of the parameter, and of go run ./zip
		t.Errorf("the architecture is %v", f.Architectures)
	}
}

var (
	reference = regexp.MustCompile(`!Ref (\w+)|!GetAtt (\w+)\.|\$\{(\w+)\}`)
	wildcard  = regexp.MustCompile(`Action: .*\*|Resource: *['"]?\*`)
)

// checkText checks that the template defines all names in use, uses all parameters,
// and allows only single actions on named resources.
func checkText[P any](t *testing.T, text string, parameters map[string]P) {
	t.Helper()
	used := map[string]bool{}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		name := m[1] + m[2] + m[3]
		used[name] = true
		if !strings.Contains(text, "\n  "+name+":\n") {
			t.Errorf("%s is not defined", name)
		}
	}
	for name := range parameters {
		if !used[name] {
			t.Errorf("parameter %s is not used", name)
		}
	}
	if w := wildcard.FindString(text); w != "" {
		t.Errorf("too much is allowed: %s", w)
	}
}

// manifest is the part of wskdeploy's format that the examples use. Other keys are
// errors.
type manifest struct {
	Packages map[string]struct {
		Actions map[string]struct {
			Function, Runtime, Docker, Web string
			Limits                         struct {
				Timeout    int
				MemorySize int `yaml:"memorySize"`
			}
		}
	}
}

func TestManifests(t *testing.T) {
	image := regexp.MustCompile(`newestImage = "openwhisk/action-golang-v(1\.\d+)"`).FindStringSubmatch(read(t, "..", "zip/main.go"))
	if image == nil {
		t.Fatal("go run ./zip has no newestImage")
	}
	forEachAction(t, func(t *testing.T, dir, name string) {
		var m manifest
		d := yaml.NewDecoder(strings.NewReader(read(t, dir, "manifest.yaml")))
		d.KnownFields(true)
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		a, ok := m.Packages["default"].Actions[name]
		if want := "../bin/" + name + "-openwhisk.zip"; !ok || a.Function != want {
			t.Errorf("the function must be %s, which go run ./zip writes", want)
		}
		if want := "go:" + image[1]; (a.Docker == "") == (a.Runtime == "") || a.Runtime != "" && a.Runtime != want {
			t.Errorf("runtime %q, docker %q: the zip is for %s", a.Runtime, a.Docker, want)
		}
		if !slices.Contains([]string{"", "raw"}, a.Web) {
			t.Errorf("web: %s", a.Web)
		}
		if l := a.Limits; l.Timeout < 100 || l.Timeout > 300_000 || l.MemorySize < 128 || l.MemorySize > 512 {
			t.Errorf("%+v is beyond the limits of OpenWhisk", l)
		}
	})
}

// The two files name zips that go run ./zip makes. Building all of them takes
// minutes, so without WARMCACHE_TEST_ALL=1 the test builds one.
func TestZips(t *testing.T) {
	forEachAction(t, func(t *testing.T, dir, name string) {
		if os.Getenv("WARMCACHE_TEST_ALL") == "" && name != "counter" {
			t.Skip("takes long: set WARMCACHE_TEST_ALL=1")
		}
		out := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "go", "run", "./zip", "-o", out, name)
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOWORK=off")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		for host, program := range map[string]string{"lambda": "bootstrap", "openwhisk": "exec"} {
			z, err := zip.OpenReader(filepath.Join(out, name+"-"+host+".zip"))
			if err != nil {
				t.Fatal(err)
			}
			defer z.Close()
			if !slices.ContainsFunc(z.File, func(f *zip.File) bool { return f.Name == program && f.Mode() == 0o755 }) {
				t.Errorf("the zip for %s has no program %s", host, program)
			}
		}
	})
}
