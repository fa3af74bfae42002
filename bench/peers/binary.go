package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/warmcache/warmcache/internal/compare"
)

// program is one that warmcache is added to.
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

// withCache is the addition to a program.
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
		c.Samples = []float64{float64(with.size - bare.size)}
		c.Note = fmt.Sprintf("%d B alone; %+d packages with init work, %+d allocs, %+d B", bare.size,
			with.inits-bare.inits, with.allocs-bare.allocs, with.bytes-bare.bytes)
	}
	r.Finish(m.Name)
	return nil
}

// built is the size of a program, and its work before main as the runtime traces it.
type built struct {
	size                 int64
	inits, bytes, allocs int
}

// build builds the program in this module, so that it gets the versions of its go.mod.
func (p program) build(ctx context.Context, dir string) (b built, err error) {
	module, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/warmcache/warmcache/bench/peers").Output()
	if err != nil {
		return b, fmt.Errorf("find the module: %w", err)
	}
	source, binary := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte("package main\nimport ("+p.imports+")\nfunc main() {"+p.body+"\n}\n"), 0o600); err != nil {
		return b, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, source)
	cmd.Dir, cmd.Env = strings.TrimSpace(string(module)), append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("build %s: %w: %s", p.name, err, out)
	}
	info, err := os.Stat(binary)
	if err != nil {
		return b, err
	}
	cmd = exec.CommandContext(ctx, binary)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return b, fmt.Errorf("run %s: %w: %s", p.name, err, out)
	}
	b.size = info.Size()
	b.addInits(out)
	return b, nil
}

// addInits reads lines as
//
//	init unicode @0.11 ms, 0.004 ms clock, 848 bytes, 3 allocs
func (b *built) addInits(trace []byte) {
	for line := range bytes.Lines(trace) {
		var name string
		var at, clock float64
		var bytes, allocs int
		if _, err := fmt.Sscanf(string(line), "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &clock, &bytes, &allocs); err == nil {
			b.inits++
			b.bytes += bytes
			b.allocs += allocs
		}
	}
}
