package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A release is a version of all published modules of a repository.
type release struct {
	repo      string
	version   string
	published []string // directories, each after those that it requires
	private   []string // modules without importers
	log       io.Writer

	work string            // a copy of the tracked files, a module proxy and a module cache
	path map[string]string // module path by directory
}

// tags returns the tags of a release.
func (r *release) tags() []string {
	var tags []string
	for _, dir := range r.published {
		tags = append(tags, path.Join(dir, r.version))
	}
	return tags
}

// check publishes all modules in a directory that serves as a module proxy, and gets
// each of them from there into an empty module. It returns the names of the files
// that had to be edited.
func (r *release) check(ctx context.Context) (changed []string, err error) {
	if r.work, err = os.MkdirTemp("", "release-"); err != nil {
		return nil, err
	}
	if err := r.copyTracked(ctx); err != nil {
		return nil, err
	}
	if err := r.classify(); err != nil {
		return nil, err
	}
	for _, dir := range r.published {
		if err := r.prepare(ctx, dir); err != nil {
			return nil, fmt.Errorf("preparing %s: %w", r.path[dir], err)
		}
		if err := r.publish(dir); err != nil {
			return nil, fmt.Errorf("publishing %s: %w", r.path[dir], err)
		}
	}
	for _, dir := range r.published {
		if err := r.use(ctx, dir); err != nil {
			return nil, fmt.Errorf("using %s: %w", r.path[dir], err)
		}
		fmt.Fprintf(r.log, "ok  %s@%s\n", r.path[dir], r.version)
	}
	return r.changed()
}

func (r *release) tree(name ...string) string {
	return filepath.Join(append([]string{r.work, "tree"}, name...)...)
}

// copyTracked copies the files that git knows, as they are in the working tree.
func (r *release) copyTracked(ctx context.Context) error {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z")
	list.Dir = r.repo
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		from, to := filepath.Join(r.repo, name), r.tree(name)
		info, err := os.Lstat(from)
		if err == nil && !info.Mode().IsRegular() || errors.Is(err, fs.ErrNotExist) {
			continue // a symbolic link is not part of a module; a deleted file is not part of the tree
		}
		if err := copyFile(from, to); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// classify reads the path of each module, which must be in one of the lists.
func (r *release) classify() error {
	r.path = map[string]string{}
	return filepath.WalkDir(r.tree(), func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "go.mod" {
			return err
		}
		dir, err := filepath.Rel(r.tree(), filepath.Dir(name))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		r.path[dir] = modfile.ModulePath(text)
		if slices.Contains(r.published, dir) == slices.Contains(r.private, dir) {
			return fmt.Errorf("module %s: put it into published or private in .ci/release/main.go", dir)
		}
		return nil
	})
}

// prepare makes the go.mod and go.sum of a module as they are published: without
// replace, with the version of this release for the other modules of the repository.
func (r *release) prepare(ctx context.Context, dir string) error {
	file := r.tree(dir, "go.mod")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	mod, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		return err
	}
	for _, other := range r.path {
		if err := mod.DropReplace(other, ""); err != nil {
			return err
		}
	}
	mod.Cleanup()
	if len(mod.Replace) > 0 {
		return fmt.Errorf("go.mod replaces %s: importers ignore replacements", mod.Replace[0].Old.Path)
	}
	edited := false
	for _, req := range mod.Require {
		other, ok := r.dirOf(req.Mod.Path)
		if !ok {
			continue
		}
		if !slices.Contains(r.published, other) {
			return fmt.Errorf("go.mod requires %s, which is not published", req.Mod.Path)
		}
		if err := mod.AddRequire(req.Mod.Path, r.version); err != nil {
			return err
		}
		edited = true
	}
	if text, err = mod.Format(); err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil || !edited {
		return err
	}
	return r.goCommand(ctx, r.tree(dir), r.env(), "mod", "tidy")
}

func (r *release) dirOf(modulePath string) (string, bool) {
	for dir, p := range r.path {
		if p == modulePath {
			return dir, true
		}
	}
	return "", false
}

// publish puts the module into the proxy.
func (r *release) publish(dir string) error {
	m := module.Version{Path: r.path[dir], Version: r.version}
	if _, err := os.Stat(r.tree(dir, "LICENSE")); err != nil {
		return fmt.Errorf("it has no LICENSE: %w", err)
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	base := filepath.Join(r.work, "proxy", filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := zip.CreateFromDir(&archive, m, r.tree(dir)); err != nil {
		return err
	}
	text, err := os.ReadFile(r.tree(dir, "go.mod"))
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(base, "list"), []byte(m.Version+"\n"), 0o644),
		os.WriteFile(filepath.Join(base, m.Version+".info"), fmt.Appendf(nil, `{"Version":%q}`, m.Version), 0o644),
		os.WriteFile(filepath.Join(base, m.Version+".mod"), text, 0o644),
		os.WriteFile(filepath.Join(base, m.Version+".zip"), archive.Bytes(), 0o644),
	)
}

// use gets the module into an empty one, as an importer does, and builds a program
// with all of its packages.
func (r *release) use(ctx context.Context, dir string) error {
	user, err := os.MkdirTemp(r.work, "user-")
	if err != nil {
		return err
	}
	packages, err := r.packages(ctx, dir)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(user, "go.mod"), []byte("module example.com/user\n\ngo 1.26.0\n"), 0o644); err != nil {
		return err
	}
	if err := r.goCommand(ctx, user, r.env(), "get", r.path[dir]+"@"+r.version); err != nil {
		return err
	}
	var program strings.Builder
	program.WriteString("package main\n\n")
	for _, p := range packages {
		fmt.Fprintf(&program, "import _ %q\n", p)
	}
	program.WriteString("\nfunc main() {}\n")
	if err := os.WriteFile(filepath.Join(user, "main.go"), []byte(program.String()), 0o644); err != nil {
		return err
	}
	return r.goCommand(ctx, user, r.env(), "build", "-mod=mod", "-trimpath", "-o", os.DevNull, ".")
}

// packages lists the packages that importers may import.
func (r *release) packages(ctx context.Context, dir string) ([]string, error) {
	list := exec.CommandContext(ctx, "go", "list", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}", "./...")
	list.Dir, list.Env = r.tree(dir), r.env()
	var stderr bytes.Buffer
	list.Stderr = &stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, &stderr)
	}
	var packages []string
	for p := range strings.FieldsSeq(string(out)) {
		if !slices.Contains(strings.Split(p, "/"), "internal") {
			packages = append(packages, p)
		}
	}
	if len(packages) == 0 {
		return nil, errors.New("it has no package to import")
	}
	return packages, nil
}

// env returns the environment of a go command that finds the release in the proxy, and
// other modules in the user's module cache or at the user's proxy. Downloads go
// to a module cache that ends with the check.
func (r *release) env() []string {
	return append(os.Environ(),
		"GOWORK=off",
		"GOFLAGS=-modcacherw",
		"GOSUMDB=off", // the release is not in the checksum database
		"GOPRIVATE=", "GONOPROXY=",
		"GOMODCACHE="+filepath.Join(r.work, "modcache"),
		"GOPROXY="+strings.Join([]string{
			"file://" + filepath.ToSlash(filepath.Join(r.work, "proxy")),
			"file://" + filepath.ToSlash(filepath.Join(goEnv("GOMODCACHE"), "cache", "download")),
			goEnv("GOPROXY"),
		}, ","),
	)
}

func goEnv(name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func (r *release) goCommand(ctx context.Context, dir string, env []string, args ...string) error {
	c := exec.CommandContext(ctx, "go", args...)
	c.Dir, c.Env = dir, env
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// changed returns the names of the go.mod and go.sum files that prepare has edited.
func (r *release) changed() ([]string, error) {
	var names []string
	for _, dir := range r.published {
		for _, file := range []string{"go.mod", "go.sum"} {
			name := path.Join(dir, file)
			now, err := os.ReadFile(r.tree(name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			before, err := os.ReadFile(filepath.Join(r.repo, name))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			if !bytes.Equal(now, before) {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

// writeBack copies the edited files into the repository.
func (r *release) writeBack(names []string) error {
	for _, name := range names {
		if err := copyFile(r.tree(name), filepath.Join(r.repo, name)); err != nil {
			return err
		}
	}
	return nil
}

// close removes the copy.
func (r *release) close() error { return os.RemoveAll(r.work) }
