package filecache

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Arrows point down only: each package imports only those packages of this module that
// are listed here.
func TestLayers(t *testing.T) {
	const module = "github.com/warmcache/warmcache/"
	for dir, allowed := range map[string][]string{
		".":                 {"filecache/internal/blocks", "filecache/internal/store", "filecache/internal/transfer", "internal/cgroup", "internal/clock", "internal/disk", "internal/flight", "internal/keys"},
		"internal/store":    {"filecache/internal/blocks", "internal/boot", "internal/cgroup", "internal/clock", "internal/disk", "internal/keys"},
		"internal/transfer": {"filecache/internal/blocks", "internal/flight"},
		"internal/blocks":   nil,
		"../internal/disk":  {"internal/clock"},
		"s3source":          {"filecache", "filecache/internal/redial"},
		"internal/redial":   nil,
		"httpsource":        {"filecache", "filecache/internal/redial", "internal/keys"},
	} {
		for name, imports := range importsOf(t, dir) {
			for _, imported := range imports {
				path, ours := strings.CutPrefix(imported, module)
				if ours && !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
}

// importsOf returns the paths that each file in dir imports, without its tests.
func importsOf(t *testing.T, dir string) map[string][]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	imports := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			imports[name] = append(imports[name], strings.Trim(imp.Path.Value, `"`))
		}
	}
	return imports
}
