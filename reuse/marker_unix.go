//go:build unix

package reuse

import (
	"io/fs"
	"os"
	"syscall"
)

// ours reports whether the file belongs to this user alone, by one name.
func ours(fi fs.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && st.Nlink == 1 && fi.Mode().Perm()&0o077 == 0
}
