package filecache

import (
	"io/fs"
	"os"
)

// Windows neither removes nor renames a file that is open.
const (
	openFlags     = 0
	canLock       = false
	canRenameOpen = false
)

func lock(*os.File, bool) error { return nil }

func stampOf(fi fs.FileInfo) stamp {
	return stamp{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
}

// ours cannot be told from a mode here; the user's temporary directory is his.
func ours(fs.FileInfo) bool { return true }
