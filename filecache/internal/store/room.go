package store

import (
	"math"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
)

// room is an amount of disk space: bytes and files.
type room struct{ bytes, files int64 }

func (r room) plus(o room) room { return room{r.bytes + o.bytes, r.files + o.files} }

func (r room) minus(o room) room { return room{r.bytes - o.bytes, r.files - o.files} }

// fits reports whether r fits in o.
func (r room) fits(o room) bool { return r.bytes <= o.bytes && r.files <= o.files }

// atLeast returns the larger of each field.
func (r room) atLeast(o room) room { return room{max(r.bytes, o.bytes), max(r.files, o.files)} }

func (r room) atMost(o room) room { return room{min(r.bytes, o.bytes), min(r.files, o.files)} }

// unlimited is more than any file system has.
const unlimited = math.MaxInt64 / 4

// roomFor returns the room of a copy of that size.
func roomFor(size int64) room {
	if isSmall(size) {
		return room{pages(size + entryTexts), 1}
	}
	return roomForTwo(size)
}

// roomForTwo returns the room of a copy of that size that has a separate data file.
func roomForTwo(size int64) room {
	return room{pages(size) + pages(8*int64(blocks.Count(size, blocks.SizeFor(size)))+entryTexts), 2}
}

// TreeBytes returns the room of a file of that size in a tree, in bytes. A directory
// counts as a file of size zero.
func TreeBytes(size int64) int64 { return max(page, pages(size)) }

// entryTexts is the room of an entry without its checksums.
const entryTexts = 1536

const page = 4 << 10

func pages(size int64) int64 { return (size + page - 1) / page * page }
