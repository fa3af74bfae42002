// Package checkout finds and builds what is in the repository around it.
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
			return "", errors.New("the examples are not here: run it in a checkout of the repository")
		}
		dir = filepath.Dir(dir)
	}
}

// Examples is the directory of the examples.
func Examples() (string, error) {
	root, err := Root()
	return filepath.Join(root, "examples"), err
}

// Build builds programs of the examples into dir, by the last elements of their
// names. The examples are a module of their own, and so are they built.
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
