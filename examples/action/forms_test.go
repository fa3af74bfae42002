package action

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Each form of action is built and run as OpenWhisk runs its exec.
func TestEveryFormRuns(t *testing.T) {
	for _, form := range []string{"handler", "classic", "compiled"} {
		t.Run(form, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "exec")
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/"+form).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			p := startProgram(t, program, "__OW_WAIT_FOR_ACK=1")
			if got := p.read(); got != `{"ok":true}` {
				t.Fatalf("acknowledged with %q", got)
			}
			if got := p.ask(`{"value":{"name":"ann"},"activation_id":"1"}`); got != `{"hello":"ann"}` {
				t.Error(got)
			}
			if code, logs := p.end(); code != 0 || logs != "" {
				t.Errorf("exit status %d, logs %q", code, logs)
			}
		})
	}
}

// The module must not gain dependencies, because an action inherits each of them.
func TestDependsOnLambdaOnly(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.FieldsSeq(string(out)) {
		if path != "github.com/aws/aws-lambda-go" && path != "github.com/warmcache/warmcache/examples/action" {
			t.Errorf("it imports %s", path)
		}
	}
}
