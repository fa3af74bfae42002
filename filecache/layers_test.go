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
		files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				path, ours := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module)
				if ours && !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", name, path)
				}
			}
		}
	}
}
