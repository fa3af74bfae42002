package run

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// findsOrphans reports whether this system can find processes that outlive the function.
const findsOrphans = true

// orphans finds processes that the function started in new sessions and left behind.
// As a subreaper, this process becomes their parent.
type orphans struct{ known map[int]bool }

// adoptOrphans returns orphans without the present children.
func adoptOrphans() orphans {
	o := orphans{map[int]bool{}}
	for _, pid := range children() {
		o.known[pid] = true
	}
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	return o
}

func (o orphans) end() {
	o.sweep()
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
}

// sweep kills the orphans and their children, which then are orphans too. Call it while
// no container is open.
func (o orphans) sweep() {
	for again := true; again; {
		again = false
		for _, pid := range children() {
			if !o.known[pid] {
				_ = unix.Kill(pid, unix.SIGKILL)
				_, err := unix.Wait4(pid, nil, 0, nil)
				again = again || err == nil
			}
		}
	}
}

func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children")
	for _, f := range files {
		b, _ := os.ReadFile(f)
		for field := range strings.FieldsSeq(string(b)) {
			pid, _ := strconv.Atoi(field)
			pids = append(pids, pid)
		}
	}
	return pids
}
