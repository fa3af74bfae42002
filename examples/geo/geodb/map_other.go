//go:build !unix

package geodb

import "os"

// mapFile returns the bytes of the file at path.
func mapFile(path string) (b []byte, unmap func() error, err error) {
	b, err = os.ReadFile(path)
	return b, func() error { return nil }, err
}
