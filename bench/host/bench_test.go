package host_test

import (
	"testing"

	"github.com/warmcache/warmcache/bench/host"
)

// BenchmarkInvoke measures the overhead of the host.
func BenchmarkInvoke(b *testing.B) {
	for _, bb := range []struct {
		kind   host.StartKind
		before func(*host.Environment) error
	}{
		{host.Warm, func(*host.Environment) error { return nil }},
		{host.Thawed, (*host.Environment).Freeze},
		{host.Restarted, func(e *host.Environment) error { e.Crash(); return nil }},
	} {
		b.Run(bb.kind.String(), func(b *testing.B) {
			env, err := testFunction("echo").Environment()
			if err != nil {
				b.Fatal(err)
			}
			defer env.Close()
			if _, err := env.Invoke(b.Context(), []byte(`""`)); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := bb.before(env); err != nil {
					b.Fatal(err)
				}
				if res, err := env.Invoke(b.Context(), []byte(`""`)); err != nil || res.Start != bb.kind {
					b.Fatal(res, err)
				}
			}
		})
	}
}
