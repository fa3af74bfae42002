package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// toy is what a program does that uses a library a little.
type toy struct {
	imports []string
	body    string
}

// The programs that a library is added to: an empty one, one that prints an error
// and the time, and one that links what most functions do.
var (
	empty    = toy{}
	printing = toy{
		imports: []string{"context", "fmt", "time"},
		body: `
	fmt.Println(context.Background().Err(), time.Now())`,
	}
	handler = toy{
		imports: []string{"encoding/json", "log/slog", "net/http", "os"},
		body: `
	if len(os.Args) > 1 {
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			slog.Info("called", "path", r.URL.Path)
			json.NewEncoder(w).Encode(map[string]string{"path": r.URL.Path})
		})
		slog.Error("end", "err", http.ListenAndServe(os.Args[1], nil))
	}`,
	}
)

const toySource = `package main

import (
%s)

func main() {%s
}
`

func (t toy) source(more toy) string {
	var imports strings.Builder
	seen := make(map[string]bool)
	for _, path := range append(t.imports[:len(t.imports):len(t.imports)], more.imports...) {
		if !seen[path] {
			fmt.Fprintf(&imports, "\t%q\n", path)
		}
		seen[path] = true
	}
	return fmt.Sprintf(toySource, &imports, t.body+more.body)
}

// measureBinaries builds toys with and without each library and compares them.
func measureBinaries(s settings, r *results) error {
	var libraries []peer
	for _, p := range selected(s, "binary", peers()) {
		if p.toy.body != "" {
			libraries = append(libraries, p)
		}
	}
	if len(libraries) == 0 {
		return nil
	}
	b, err := newBuilder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	bases := []struct {
		name string
		toy  toy
	}{{"binary", empty}, {"binary-print", printing}, {"binary-handler", handler}}
	if s.quick {
		bases = bases[:1]
	}
	for _, base := range bases {
		if err := b.compare(r, base.name, base.toy, libraries); err != nil {
			return err
		}
	}
	return nil
}

// builder builds toys in this module, so that they get the versions of its
// go.mod.
type builder struct{ dir, module string }

func newBuilder() (b builder, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return b, fmt.Errorf("where is %s? %w", module, err)
	}
	b.module = strings.TrimSpace(string(out))
	b.dir, err = os.MkdirTemp("", "warmcache-peers-")
	return b, err
}

func (b builder) compare(r *results, name string, base toy, libraries []peer) error {
	bare, err := b.build(base, toy{})
	if err != nil {
		return err
	}
	r.add(name+"-base", "the program alone", float64(bare.size))
	r.finish(name + "-base")
	for _, p := range libraries {
		say("%s of %s", name, p.name)
		with, err := b.build(base, p.toy)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", name, p.name, err)
		}
		added := with.size - bare.size
		r.add(name, p.name, float64(added)).Note = fmt.Sprintf("%.0f KB; %s", float64(added)/1000, with.inits.over(bare.inits))
	}
	r.finish(name)
	return nil
}

// built is what is known of a program.
type built struct {
	size  int64
	inits inits
}

func (b builder) build(base, more toy) (built, error) {
	source := filepath.Join(b.dir, "main.go")
	program := filepath.Join(b.dir, "program")
	if err := os.WriteFile(source, []byte(base.source(more)), 0o600); err != nil {
		return built{}, err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, source)
	build.Dir = b.module
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return built{}, fmt.Errorf("%w: %s", err, out)
	}
	info, err := os.Stat(program)
	if err != nil {
		return built{}, err
	}
	n, err := readInits(program)
	return built{info.Size(), n}, err
}

// inits is the work of a program before main, as the runtime traces it.
type inits struct{ packages, bytes, allocs int }

func readInits(program string) (inits, error) {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return inits{}, fmt.Errorf("%w: %s", err, out)
	}
	return parseInits(out), nil
}

// parseInits reads lines as
//
//	init unicode @0.11 ms, 0.004 ms clock, 848 bytes, 3 allocs
func parseInits(out []byte) (n inits) {
	for line := range bytes.Lines(out) {
		var name string
		var at, clock float64
		var bytes, allocs int
		_, err := fmt.Sscanf(string(line), "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &clock, &bytes, &allocs)
		if err == nil {
			n.packages++
			n.bytes += bytes
			n.allocs += allocs
		}
	}
	return n
}

func (n inits) over(base inits) string {
	return fmt.Sprintf("%+d packages with init work, %+d allocs, %+d B",
		n.packages-base.packages, n.allocs-base.allocs, n.bytes-base.bytes)
}
