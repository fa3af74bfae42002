package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shop is a repository with a root module, a nested one that requires it, and a
// private one.
func shop() map[string]string {
	return map[string]string{
		"LICENSE":       "free",
		"go.mod":        "module example.com/shop\n\ngo 1.26.0\n",
		"shop.go":       "package shop\n\nconst Name = \"lamp\"\n",
		"tier/LICENSE":  "free",
		"tier/go.mod":   "module example.com/shop/tier\n\ngo 1.26.0\n\nreplace example.com/shop => ../\n\nrequire example.com/shop v0.0.0\n",
		"tier/tier.go":  "package tier\n\nimport \"example.com/shop\"\n\nconst Name = shop.Name\n",
		"bench/go.mod":  "module example.com/shop/bench\n\ngo 1.26.0\n",
		"bench/main.go": "package main\n\nfunc main() {}\n",
	}
}

func newRelease(t *testing.T, files map[string]string) *release {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	t.Setenv("AWS_CA_BUNDLE", "")
	repo := t.TempDir()
	for name, text := range files {
		name = filepath.Join(repo, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}} {
		c := exec.Command("git", args...)
		c.Dir = repo
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	r := &release{repo: repo, version: "v0.7.0", published: []string{".", "tier"}, private: []string{"bench"}, log: io.Discard}
	t.Cleanup(func() { r.close() })
	return r
}

func TestPrepareAndCheck(t *testing.T) {
	r := newRelease(t, shop())
	changed, err := r.check(t.Context())
	if err != nil || !slices.Equal(changed, []string{"tier/go.mod", "tier/go.sum"}) {
		t.Fatalf("changed %q, %v", changed, err)
	}
	if err := r.writeBack(changed); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(r.repo, "tier/go.mod"))
	if err != nil || strings.Contains(string(mod), "replace") || !strings.Contains(string(mod), "example.com/shop v0.7.0") {
		t.Errorf("%s%v", mod, err)
	}
	if tags := r.tags(); !slices.Equal(tags, []string{"v0.7.0", "tier/v0.7.0"}) {
		t.Errorf("tags %q", tags)
	}

	if out, err := exec.Command("git", "-C", r.repo, "add", "-A").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	again := &release{repo: r.repo, version: r.version, published: r.published, private: r.private, log: io.Discard}
	defer again.close()
	if changed, err := again.check(t.Context()); err != nil || len(changed) > 0 {
		t.Errorf("a prepared repository: changed %q, %v", changed, err)
	}
}

func TestWhatCannotBePublished(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(files map[string]string, r *release)
		says string
	}{
		"a module in neither list": {func(f map[string]string, r *release) { r.private = nil }, ".ci/release/main.go"},
		"wrong order": {func(f map[string]string, r *release) { r.published = []string{"tier", "."} },
			"preparing example.com/shop/tier"},
		"a replaced module of others": {func(f map[string]string, r *release) {
			f["go.mod"] += "\nreplace example.org/lamp => example.org/candle v1.0.0\n"
		}, "replaces example.org/lamp"},
		"a private module is required": {func(f map[string]string, r *release) {
			f["go.mod"] += "\nrequire example.com/shop/bench v0.0.0\n\nreplace example.com/shop/bench => ./bench\n"
		}, "requires example.com/shop/bench, which is not published"},
		"no license": {func(f map[string]string, r *release) { delete(f, "tier/LICENSE") }, "LICENSE"},
		"a package that git ignores": {func(f map[string]string, r *release) {
			f[".gitignore"] = "gen\n"
			f["gen/gen.go"] = "package gen\n"
			f["shop.go"] = "package shop\n\nimport _ \"example.com/shop/gen\"\n\nconst Name = 1\n"
		}, "example.com/shop/gen"},
		"a package of a private module": {func(f map[string]string, r *release) {
			f["bench/lib/lib.go"] = "package lib\n"
			f["shop.go"] = "package shop\n\nimport _ \"example.com/shop/bench/lib\"\n\nconst Name = 1\n"
		}, "example.com/shop/bench/lib"},
		"nothing to import": {func(f map[string]string, r *release) { f["tier/tier.go"] = "package main\n\nfunc main() {}\n" }, "no package"},
	} {
		t.Run(name, func(t *testing.T) {
			files, lists := shop(), &release{published: []string{".", "tier"}, private: []string{"bench"}}
			tt.edit(files, lists)
			r := newRelease(t, files)
			r.published, r.private = lists.published, lists.private
			if _, err := r.check(t.Context()); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%v, want it to say %q", err, tt.says)
			}
		})
	}
}
