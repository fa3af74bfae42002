package cgroup

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/warmcache/warmcache/internal/clock/clocktest"
)

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	mountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
)

func TestMemoryLeft(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
		none  bool
	}{
		{name: "nothing is known", none: true},
		{
			name:  "no limit but the machine's",
			files: map[string]string{"proc/meminfo": "MemTotal: 900 kB\nMemAvailable:     500 kB\n"},
			want:  500 << 10,
		},
		{
			name: "version 2, in a namespace",
			files: map[string]string{
				"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "700\n",
				"sys/fs/cgroup/memory.stat": "anon 5\nfile 100\nactive_file 3\ninactive_file 90\n",
			},
			want: 390,
		},
		{
			name: "version 2, the outer group leaves less",
			files: map[string]string{
				"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/b/memory.current": "700\n",
				"sys/fs/cgroup/a/memory.max": "800\n", "sys/fs/cgroup/a/memory.current": "750\n",
			},
			want: 50,
		},
		{
			name: "version 2, the inner group leaves less",
			files: map[string]string{
				"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
				"sys/fs/cgroup/a/b/memory.max": "710\n", "sys/fs/cgroup/a/b/memory.current": "700\n",
				"sys/fs/cgroup/a/memory.max": "8000\n", "sys/fs/cgroup/a/memory.current": "750\n",
			},
			want: 10,
		},
		{
			name: "version 1, seen from the host",
			files: map[string]string{
				"proc/self/cgroup":                   "5:devices:/x\n4:cpu,memory:/docker/a\n0::/\n",
				"proc/self/mountinfo":                "36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n35 31 0:32 / /m rw - cgroup cgroup rw,cpu,memory\n",
				"m/docker/a/memory.limit_in_bytes":   "9000\n",
				"m/docker/a/memory.usage_in_bytes":   "1000\n",
				"m/docker/a/memory.stat":             "inactive_file 1\ntotal_inactive_file 500\n",
				"m/memory.limit_in_bytes":            "9223372036854771712\n",
				"m/memory.usage_in_bytes":            "5\n",
				"sys/fs/cgroup/devices/x/irrelevant": "",
			},
			want: 8500,
		},
		{
			name: "version 1, in a container without a namespace",
			files: map[string]string{
				"proc/self/cgroup":                           "4:memory:/docker/a\n",
				"proc/self/mountinfo":                        "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "9000\n",
				"sys/fs/cgroup/memory/memory.usage_in_bytes": "9500\n",
			},
			want: 0,
		},
		{
			name: "a path that is not below what is mounted",
			files: map[string]string{
				"proc/self/cgroup":                           "4:memory:/docker/abc\n",
				"proc/self/mountinfo":                        "35 31 0:32 /docker/a /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes": "9000\n",
				"sys/fs/cgroup/memory/memory.usage_in_bytes": "8000\n",
			},
			want: 1000,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, tt.files)
			got, ok := system{root}.memoryLeft()
			if got != tt.want || ok == tt.none {
				t.Errorf("got %d, %v, want %d", got, ok, tt.want)
			}
		})
	}
}

// Memory that the cache has allocated since a reading does not count as free.
func TestMemoryThere(t *testing.T) {
	clocks := clocktest.New()
	left, limited, reads := int64(100), true, 0
	m := Memory{Left: func() (int64, bool) { reads++; return left, limited }}
	want := func(held, want int64) {
		t.Helper()
		if got := m.There(held, clocks.Now()); got != want {
			t.Errorf("There(%d) = %d, want %d", held, got, want)
		}
	}
	want(10, 110)
	left = 40
	clocks.Move(readEvery-1, readEvery-1)
	want(70, 110)
	if reads != 1 {
		t.Errorf("the limits were read %d times", reads)
	}
	clocks.Move(1, 1)
	want(70, 110)
	left = 0
	clocks.Move(readEvery, 0)
	want(70, 70)
	limited = false
	clocks.Move(readEvery, 0)
	if got := m.There(70, clocks.Now()); got < 1<<60 {
		t.Errorf("without a limit: There = %d", got)
	}
}
