package blocks

import "io"

// A Hash is the subset of hash.Hash that a Digest uses.
type Hash interface {
	io.Writer
	Sum([]byte) []byte
}
