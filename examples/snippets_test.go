package examples_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The Go code blocks in the pages compile. A block that begins with a package
// clause is built. The lines of another block must occur in some Go file of this
// repository, in the same order and without other lines between; "..." stands for
// omitted lines.
func TestSnippets(t *testing.T) {
	sources := goFiles(t)
	for _, page := range pages(t) {
		for _, block := range fenced.FindAllStringSubmatch(read(t, page), -1) {
			code := block[1]
			if strings.HasPrefix(code, "package ") {
				build(t, page, code)
				continue
			}
			for _, part := range elided.Split(code, -1) {
				if !inOneOf(sources, normal(part)) {
					t.Errorf("%s: no Go file has these lines:\n%s", page, part)
				}
			}
		}
	}
}

var (
	fenced = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	elided = regexp.MustCompile(`(?m)^\s*(//)? ?\.\.\.\n`)
	spaces = regexp.MustCompile(`[ \t]+`)
	notes  = regexp.MustCompile(`(?m)\s*//.*$`)
)

func build(t *testing.T, page, code string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), file).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", page, err, out)
	}
}

// normal returns code without comments, indentation and empty lines.
func normal(code string) string {
	var lines []string
	for line := range strings.Lines(notes.ReplaceAllString(code, "")) {
		if line = strings.TrimSpace(spaces.ReplaceAllString(line, " ")); line != "" {
			lines = append(lines, line)
		}
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

func inOneOf(sources []string, lines string) bool {
	for _, s := range sources {
		if strings.Contains(s, lines) {
			return true
		}
	}
	return lines == "\n\n"
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func pages(t *testing.T) []string { return files(t, ".md") }

func goFiles(t *testing.T) (sources []string) {
	for _, f := range files(t, ".go") {
		b, err := os.ReadFile(f)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was a file of another test
		case err != nil:
			t.Fatal(err)
		default:
			sources = append(sources, normal(string(b)))
		}
	}
	return sources
}

// files returns the repository's files with an extension.
func files(t *testing.T, ext string) (found []string) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was a file of another test
		}
		if err == nil && d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != ".." {
			return filepath.SkipDir
		}
		if filepath.Ext(path) == ext {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
