package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/warmcache/warmcache/internal/compare"
)

// program is a program to which measureBinary adds warmcache.
type program struct{ name, imports, body string }

var programs = []program{
	{"an empty main", "", ""},
	{"a main that prints", `"context"; "fmt"; "time"`, `fmt.Println(context.Background().Err(), time.Now())`},
	{"a main with net/http, encoding/json and log/slog", `"encoding/json"; "log/slog"; "net/http"; "os"`, `
		if len(os.Args) > 1 {
			http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				slog.Info("called", "path", r.URL.Path)
				json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path})
			})
			slog.Error("end", "err", http.ListenAndServe(os.Args[1], nil))
		}`},
}

// withCache is the addition.
var withCache = program{imports: `ctx "context"; clock "time"; "github.com/warmcache/warmcache/cache"`, body: `
		c := cache.Must(cache.New(cache.Options[string, *int]{
			Load: func(ctx.Context, string) (*int, error) { return new(int), nil },
			TTL:  clock.Hour,
		}))
		c.Get(ctx.Background(), "key")`}

// measureBinary builds each program with and without warmcache.
func measureBinary(ctx context.Context, f *compare.Flags, r *compare.Report) error {
	m := compare.Measure{Name: "binary", Title: "Binary size that package cache adds (-trimpath -ldflags '-s -w')", Unit: "B", Format: "%.0f"}
	if !f.Only.MatchString(m.Name) {
		return nil
	}
	dir, err := os.MkdirTemp("", "warmcache-peers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r.Measures = append(r.Measures, m)
	chosen := programs
	if f.Quick {
		chosen = programs[:1]
	}
	for _, p := range chosen {
		compare.Say("binary: %s", p.name)
		bare, err := p.build(ctx, dir)
		if err != nil {
			return err
		}
		both := program{p.name + " and cache", p.imports + "\n" + withCache.imports, p.body + "\n" + withCache.body}
		with, err := both.build(ctx, dir)
		if err != nil {
			return err
		}
		c := r.Cell(m.Name, p.name)
		c.Samples = []float64{float64(with - bare)}
		c.Note = fmt.Sprintf("%d B alone", bare)
	}
	r.Finish(m.Name)
	return nil
}

// build returns the size of the program, built with the versions of this module's
// go.mod.
func (p program) build(ctx context.Context, dir string) (size int64, err error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/warmcache/warmcache/bench/peers").Output()
	if err != nil {
		return 0, fmt.Errorf("find the module: %w", err)
	}
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\nimport ("+p.imports+")\nfunc main() {"+p.body+"\n}\n"), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, source)
	cmd.Dir, cmd.Env = strings.TrimSpace(string(module)), append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build %s: %w: %s", p.name, err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
