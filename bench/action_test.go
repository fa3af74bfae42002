package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// buildAction builds an example of the module beside this one, as its users do.
func buildAction(t *testing.T, name string) (binary string) {
	t.Helper()
	source, err := examplesDir()
	if err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./"+name)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", name, err, out)
	}
	return binary
}
