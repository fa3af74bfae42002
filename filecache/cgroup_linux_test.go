package filecache

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/warmcache/warmcache/internal/childtest"
)

// With this variable, the test binary is a process that fills a directory.
const fillDir = "WARMCACHE_TEST_FILL_DIR"

func init() { // before TestMain, which would check for leaks
	dir := os.Getenv(fillDir)
	if dir == "" {
		return
	}
	c := Must(New(Options{Dir: dir, MaxAge: Immutable}))
	for i := range 600 {
		o := newOrigin(0)
		o.name = fmt.Sprint(i)
		o.put(make([]byte, 1<<20))
		if _, err := c.ReadFile(background, o); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Printf("%+v\n", c.Stats())
	os.Exit(0)
}

// memoryCgroup creates a control group with a memory limit, which requires root.
func memoryCgroup(t *testing.T, parent string, limit int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a control group")
	}
	v1, v2 := "/sys/fs/cgroup/memory", "/sys/fs/cgroup"
	root, file := v1, "memory.limit_in_bytes"
	if _, err := os.Stat(filepath.Join(v1, file)); err != nil {
		b, err := os.ReadFile(filepath.Join(v2, "cgroup.subtree_control"))
		if err != nil || !strings.Contains(string(b), "memory") {
			t.Skip("no memory control group can be made here: neither version 1 nor version 2 controls memory")
		}
		root, file = v2, "memory.max"
	}
	if parent != "" {
		root = parent
		os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0)
	}
	dir := filepath.Join(root, "warmcache-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skipf("cannot make a control group here: %v", err)
	}
	// The group of a process that has just ended is busy for a moment.
	t.Cleanup(func() { waitFor(t, func() bool { return os.Remove(dir) == nil }) })
	if limit > 0 {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(limit)), 0); err != nil {
			t.Skipf("cannot limit the memory of a control group here: %v", err)
		}
	}
	return dir
}

// A large file system in memory, in a container with little memory: the process
// survives, and its copies are limited to a share of the container's memory. The limit
// may belong to an outer group.
func TestMemoryFileSystemInAContainer(t *testing.T) {
	const limit = 128 << 20
	for _, nested := range []bool{false, true} {
		t.Run(fmt.Sprintf("nested %v", nested), func(t *testing.T) {
			group := memoryCgroup(t, "", limit)
			if nested {
				group = memoryCgroup(t, group, 0)
			}
			dir := mountTmpfs(t, "size=4g")
			child := childtest.Command()
			if len(child.Args) > 1 {
				t.Skip("an emulator needs more memory than the group has")
			}
			// The shell joins the group before it starts the process.
			cmd := exec.Command("sh", "-c", `echo $$ > "$0/cgroup.procs" && exec "$@"`, group, child.Path)
			cmd.Env = append(os.Environ(), fillDir+"="+dir)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			c := newTest(t, Options{Dir: dir, MaxAge: Immutable}, nil)
			if n := c.diskBytes(); n == 0 || n > limit/2 {
				t.Errorf("%d MiB of copies, the limit is %d MiB: %s", n>>20, limit>>20, out)
			} else {
				t.Logf("%d MiB of copies, the limit is %d MiB", n>>20, limit>>20)
			}
		})
	}
}
