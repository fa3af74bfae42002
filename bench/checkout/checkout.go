// Package checkout finds the repository and builds its examples.
package checkout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Root finds the repository from anywhere within it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "examples", "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("the examples are not here: run this command in a checkout of the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// Examples is the directory of the examples.
func Examples() (string, error) {
	root, err := Root()
	return filepath.Join(root, "examples"), err
}

// Build builds programs of the examples, which are a module of their own, into dir. The
// names are the last elements of their paths.
func Build(ctx context.Context, dir string, names ...string) error {
	source, err := Examples()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator))
	for _, name := range names {
		cmd.Args = append(cmd.Args, "./"+name)
	}
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the examples: %w\n%s", err, out)
	}
	return nil
}
