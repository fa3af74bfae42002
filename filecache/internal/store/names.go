package store

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/warmcache/warmcache/filecache/internal/blocks"
	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// entryNameLen is the length of an entry's name.
const entryNameLen = 2 * sha256.Size

// dataName returns a name for a data file of entry with size bytes. It ends in a random
// number: each name is used once, so a data file is never rewritten. The name identifies
// the entry that may refer to the file.
func dataName(entry string, size int64, random uint64) string {
	return fmt.Sprintf("%s-%d-%016x", entry, size, random)
}

// newDataName returns a new data name for e.
func newDataName(e *entry) string { return dataName(e.key.entryName(), e.size, clock.Random()) }

// isDataName reports whether s has the form of a dataName.
func isDataName(s string) bool {
	parts := strings.Split(s, "-")
	return len(parts) == 3 && isEntryName(parts[0]) && isHex64(parts[2]) &&
		parts[1] != "" && strings.Trim(parts[1], "0123456789") == ""
}

// treeName returns the name of a tree. It contains the name of the manifest's entry, the
// room of the tree and the manifest's CRC.
func treeName(entry string, r room, crc uint64) string {
	return fmt.Sprintf("%s-%d-%d-%016x", entry, r.bytes, r.files, crc)
}

func isTreeName(s string) bool {
	return strings.Count(s, "-") == 3 && isEntryName(s[:strings.IndexByte(s, '-')]) && isHex64(s[strings.LastIndexByte(s, '-')+1:]) &&
		treeRoom(s) != room{}
}

// treeRoom returns the room encoded in the name of a tree, or zero.
func treeRoom(name string) room {
	parts := strings.Split(name, "-")
	if len(parts) != 4 {
		return room{}
	}
	bytes, err1 := strconv.ParseInt(parts[1], 10, 64)
	files, err2 := strconv.ParseInt(parts[2], 10, 64)
	if err1 != nil || err2 != nil || bytes <= 0 || files <= 0 || bytes > blocks.MaxObject || files > math.MaxInt32 {
		return room{}
	}
	return room{bytes, files}
}

func treeCRC(name string) uint64 { return hex64(name[len(name)-16:]) }

// isHex64 reports whether s is 16 hexadecimal digits.
func isHex64(s string) bool { return len(s) == 16 && isHex(s) }

// isEntryName reports whether s has the form of an entryName.
func isEntryName(s string) bool { return len(s) == entryNameLen && isHex(s) }

// isHex reports whether s has only lower-case hexadecimal digits.
func isHex(s string) bool {
	_, ok := parseHex(s)
	return ok
}

// parseHex returns the value of lower-case hexadecimal digits, modulo 2^64, and whether s
// has only these. It is called for each name that a walk reads. It has no branches,
// because the digits are random.
func parseHex(s string) (n uint64, ok bool) {
	var bad uint8
	for i := range len(s) {
		digit := hexDigits[s[i]]
		n = n<<4 | uint64(digit&0xf)
		bad |= digit
	}
	return n, bad < 0x10
}

// hexDigits has the values of hexadecimal digits, and 0x10 for other characters.
var hexDigits = func() (digits [256]uint8) {
	for i := range digits {
		digits[i] = 0x10
	}
	for i, c := range []byte("0123456789abcdef") {
		digits[c] = uint8(i)
	}
	return digits
}()

// entryID, dataID and otherID return the number that identifies a file in a sum.
func entryID(name string) uint64 { return hex64(name[:16]) }

func dataID(name string) uint64 { return hex64(name[len(name)-16:]) }

func otherID(name string) uint64 {
	h := fnv.New64a()
	io.WriteString(h, name)
	return h.Sum64()
}

func hex64(s string) uint64 {
	n, ok := parseHex(s)
	if !ok {
		return 0
	}
	return n
}

// entryOf returns the entry name in the name of a data file.
func entryOf(data string) string { return data[:entryNameLen] }

// sizeInName returns the size encoded in the name of a data file, or zero.
func sizeInName(name string) int64 {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return 0
	}
	n, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || n < 0 || n > blocks.MaxObject {
		return 0
	}
	return n
}

// isTemp reports whether a file is under construction, or was left by a program beside a
// data file. No other files count as litter.
func isTemp(name string) bool {
	if strings.HasPrefix(name, disk.TempPrefix) {
		return true
	}
	for _, suffix := range sideFiles {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			return isDataName(base)
		}
	}
	return false
}

// sideFiles are the suffixes of files that SQLite writes beside a database and reads with
// it. They may contain rows that the object does not have.
var sideFiles = []string{"-wal", "-journal", "-shm"}

const (
	entryDir   = "e"
	dataDir    = "d"
	scratchDir = "s"
	treeDir    = "t"
	lockFile   = "turns"
)

func entryPath(name string) string { return entryDir + "/" + name }

func treePath(name string) string { return treeDir + "/" + name }

func dataPath(name string) string { return dataDir + "/" + name }
