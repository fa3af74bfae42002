package conditions

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A shell splits the command into the same arguments.
func TestCommandLine(t *testing.T) {
	args := []string{"-x=1,2", "two words", "it's", "$HOME", "", `a"b`, "*", "-only=^a|b$"}
	c := Here("printf %s\\\\n", args, "set")
	if c.Set != "set" || c.Date.IsZero() || c.CPUs < 1 || !strings.Contains(c.Platform, "/") {
		t.Errorf("%+v", c)
	}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skipf("needs a shell: %v", err)
	}
	out, err := exec.Command(sh, "-c", c.Command).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); err != nil || !slices.Equal(got, args) {
		t.Errorf("%s: %q, %v", c.Command, got, err)
	}
}
