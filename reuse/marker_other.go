//go:build !unix

package reuse

import "io/fs"

// ours returns true: the directory for temporary files is the user's own here.
func ours(fs.FileInfo) bool { return true }
