package reuse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProcessesOfAContainer(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	for _, want := range []string{"cold", "restarted", "restarted"} {
		if got := process(t, tmp); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := process(t, t.TempDir()); got != "cold" {
		t.Errorf("another container: %s", got)
	}
}

// A new version in an old directory is a new function.
func TestMarkerBelongsToAFunction(t *testing.T) {
	t.Parallel()
	tmp := t.TempDir()
	for _, env := range [][]string{
		{},
		{"AWS_LAMBDA_FUNCTION_NAME=quote", "AWS_LAMBDA_FUNCTION_VERSION=1"},
		{"AWS_LAMBDA_FUNCTION_NAME=quote", "AWS_LAMBDA_FUNCTION_VERSION=2"},
		{"__OW_ACTION_NAME=/guest/../quote", "__OW_ACTION_VERSION=0.0.1"},
	} {
		if got := process(t, tmp, env...); got != "cold" {
			t.Errorf("%v: %s", env, got)
		}
		if got := process(t, tmp, env...); got != "restarted" {
			t.Errorf("%v again: %s", env, got)
		}
	}
	if files, err := os.ReadDir(tmp); err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
}

func TestSecondRecorderOfAProcess(t *testing.T) {
	inNewContainer(t)
	if one, other := New().Begin().Start, New().Begin().Start; one != Cold || other != Cold {
		t.Errorf("%v, %v", one, other)
	}
}

func TestNewTouchesNothing(t *testing.T) {
	tmp := inNewContainer(t)
	r := New()
	if files, _ := os.ReadDir(tmp); len(files) > 0 {
		t.Errorf("%v", files)
	}
	r.Begin()
	if files, _ := os.ReadDir(tmp); len(files) != 1 || !strings.HasPrefix(files[0].Name(), "warmcache.reuse.v1.") {
		t.Errorf("%v", files)
	}
}

func TestMissingDirectory(t *testing.T) {
	t.Parallel()
	tmp := filepath.Join(t.TempDir(), "missing")
	if got := process(t, tmp); got != "unknown" {
		t.Error(got)
	}
	if _, err := os.Stat(tmp); err == nil {
		t.Error("somebody has made it")
	}
}

// A foreign file of the marker's name is not opened, followed or changed.
func TestForeignMarker(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"directory":        func(p string) error { return os.Mkdir(p, 0o700) },
		"symbolic link":    func(p string) error { return os.Symlink(touch(p+".target"), p) },
		"dangling link":    func(p string) error { return os.Symlink(p+".missing", p) },
		"hard link":        func(p string) error { return os.Link(touch(p+".other"), p) },
		"open to everyone": func(p string) error { return os.Chmod(touch(p), 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			if !planting {
				t.Skip("needs unix")
			}
			inNewContainer(t)
			path := markerFile()
			if err := plant(path); err != nil {
				t.Fatal(err)
			}
			if got := New().Begin().Start; got != Unknown {
				t.Error(got)
			}
			if _, err := os.Lstat(path + ".missing"); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}

func touch(path string) string {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		panic(err)
	}
	return path
}
