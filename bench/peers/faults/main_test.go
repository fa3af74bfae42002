package main

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	serveIfChild()
	os.Exit(m.Run())
}

// warmcache returns the right bytes in every case. The others show that the cases
// are real.
func TestMatrix(t *testing.T) {
	wrongs := map[string]int{}
	for _, c := range cases {
		for _, p := range peers() {
			o, note := try(t.TempDir(), c, p)
			switch {
			case o == skipped && os.Geteuid() == 0 && p.name == "warmcache":
				t.Errorf("%s could not be made: %s", c.name, note)
			case o == skipped:
				t.Logf("%s, %s: %s", c.name, p.name, note)
			case o == wrong:
				wrongs[p.name]++
			}
			if p.name == "warmcache" && o != hit && o != fetched && o != skipped {
				t.Errorf("%s: %s %s", c.name, o, note)
			}
			if c.name == "nothing happens" && o != hit {
				t.Errorf("%s is not used as it should be: %s %s", p.name, o, note)
			}
		}
	}
	for _, name := range []string{"by hand", "diskv", "fscache", "httpcache"} {
		if wrongs[name] == 0 {
			t.Errorf("%s never hands out wrong bytes: the damage is not done", name)
		}
	}
}
