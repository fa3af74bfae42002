package reuse

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestLogValue(t *testing.T) {
	for want, i := range map[string]Invocation{
		"reuse.start=cold reuse.number=1 reuse.age=1.5ms\n":                                 first,
		"reuse.start=warm reuse.number=7 reuse.age=1h0m0s reuse.gap=1m0s reuse.pause=59s\n": afterPause,
	} {
		var b bytes.Buffer
		slog.New(slog.NewTextHandler(&b, nil)).Info("m", "reuse", i)
		if _, got, _ := strings.Cut(b.String(), "msg=m "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
