// Package cgroup determines how much memory a process may still use. The bounds are the
// memory limits of its control groups and the machine's memory.
package cgroup

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// MemoryLeft returns how many bytes of memory the process may still use, by the kernel's
// current accounting. If that is unknown, ok is false. It is always false on systems
// other than Linux.
//
// Parent groups limit the process as well, in versions 1 and 2 of control groups. Cached
// files that have not been used recently count as free, because the kernel drops them
// when a group needs memory. Files on an in-memory file system do not.
func MemoryLeft() (bytes int64, ok bool) { return system{}.memoryLeft() }

// system is the root of the system's files. Tests replace it.
type system struct{ root string }

func (s system) read(name string) string {
	b, _ := os.ReadFile(s.root + name)
	return string(b)
}

func (s system) memoryLeft() (left int64, ok bool) {
	least := func(n int64) {
		if !ok || n < left {
			left, ok = n, true
		}
	}
	if kib, found := field(s.read("/proc/meminfo"), "MemAvailable:"); found {
		least(kib * 1024)
	}
	for _, g := range s.groups() {
		for _, dir := range g.upwards() {
			if n, limited := s.leftIn(g.version, dir); limited {
				least(n)
			}
		}
	}
	return max(left, 0), ok
}

// files names the files of each version of control groups, and the field of memory.stat
// with the memory that the kernel can drop.
var files = map[int]struct{ limit, usage, droppable string }{
	1: {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
	2: {"memory.max", "memory.current", "inactive_file"},
}

// leftIn returns the unused part of a group's limit, if it has one.
func (s system) leftIn(version int, dir string) (left int64, limited bool) {
	f := files[version]
	limit, err := strconv.ParseInt(strings.TrimSpace(s.read(dir+"/"+f.limit)), 10, 64)
	if err != nil || limit >= 1<<60 { // "max", or the largest number of pages
		return 0, false
	}
	usage, err := strconv.ParseInt(strings.TrimSpace(s.read(dir+"/"+f.usage)), 10, 64)
	if err != nil {
		return 0, false
	}
	droppable, _ := field(s.read(dir+"/memory.stat"), f.droppable)
	return limit - usage + droppable, true
}

// field returns the number after name at the start of a line.
func field(text, name string) (n int64, ok bool) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// group is a memory control group as this process sees it.
type group struct {
	version int
	mount   string // where its hierarchy is mounted
	path    string // its path below mount
}

// upwards returns the directories of a group and of its parents.
func (g group) upwards() (dirs []string) {
	for p := path.Clean("/" + g.path); ; p = path.Dir(p) {
		dirs = append(dirs, path.Join(g.mount, p))
		if p == "/" {
			return dirs
		}
	}
}

// groups returns this process's control groups that may limit memory.
func (s system) groups() (found []group) {
	mounts := s.read("/proc/self/mountinfo")
	for line := range strings.Lines(s.read("/proc/self/cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		version := 1
		switch {
		case parts[1] == "":
			version = 2
		case !has(parts[1], "memory"):
			continue
		}
		if g, ok := mounted(mounts, version, parts[2]); ok {
			found = append(found, g)
		}
	}
	return found
}

// mounted finds the mount point of a group's hierarchy. In a container, only the part
// below root may be mounted.
func mounted(mounts string, version int, name string) (group, bool) {
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		f, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(fs) < 3 {
			continue
		}
		if version == 1 && (fs[0] != "cgroup" || !has(fs[2], "memory")) || version == 2 && fs[0] != "cgroup2" {
			continue
		}
		root, mount := f[3], f[4]
		below, ok := strings.CutPrefix(name, strings.TrimSuffix(root, "/"))
		if !ok || below != "" && below[0] != '/' {
			below = "/"
		}
		return group{version, mount, below}, true
	}
	return group{}, false
}

// has reports whether a comma-separated list contains an element.
func has(list, element string) bool {
	for e := range strings.SplitSeq(list, ",") {
		if e == element {
			return true
		}
	}
	return false
}
