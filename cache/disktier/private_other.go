//go:build !unix

package disktier

import "io/fs"

// private: the temporary directory is the user's own here.
func private(fs.FileInfo) bool { return true }
