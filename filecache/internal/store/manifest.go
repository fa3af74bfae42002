package store

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/warmcache/warmcache/internal/clock"
	"github.com/warmcache/warmcache/internal/disk"
)

// A manifest describes the files of a tree by their stat data. It is compared with the tree
// at each use. This detects files that are missing, added, replaced or written to, but not
// a disk that returns wrong bytes.
//
// Encoded, it is a line for each file or directory after a first line:
//
//	warmcache tree 1 <bytes> <files> <random>
//	<mode> <size> <mtime> <ctime> <inode> <path, quoted>
type manifest struct {
	room
	nonce uint64 // no two trees have the same name
	root  node
}

// node is a file or directory of a manifest.
type node struct {
	dir          bool
	perm         uint32
	size         int64 // of a file
	mtime, ctime int64 // the root has no ctime: a rename changes it
	ino          uint64
	children     map[string]*node
}

const manifestMagic = "warmcache tree 1"

func newManifest(r room) *manifest { return &manifest{room: r, nonce: clock.Random()} }

func nodeOf(info disk.Info) *node {
	n := &node{dir: info.Mode.IsDir(), perm: uint32(info.Mode.Perm()), mtime: info.ID.Mtime, ctime: info.ID.Ctime, ino: info.ID.Ino}
	if n.dir {
		n.children = map[string]*node{}
	} else {
		n.size = info.Size
	}
	return n
}

// same reports whether a file is as n describes it.
func (n *node) same(info disk.Info) bool {
	return info.Ours && info.Mode.IsDir() == n.dir && (n.dir || info.Mode.IsRegular() && info.Size == n.size) &&
		uint32(info.Mode.Perm()) == n.perm && info.ID.Mtime == n.mtime && info.ID.Ino == n.ino && (n.ctime == 0 || info.ID.Ctime == n.ctime)
}

// seal makes all directories of a tree unwritable, and then describes the tree.
func (m *manifest) seal(dir disk.Subdir) error {
	info, err := m.root.seal(dir)
	if err != nil {
		return err
	}
	children := m.root.children
	m.root = *nodeOf(info)
	m.root.ctime, m.root.children = 0, children
	return nil
}

func (n *node) seal(dir disk.Subdir) (disk.Info, error) {
	n.children = map[string]*node{}
	names, err := dir.Names()
	if err != nil {
		return disk.Info{}, err
	}
	for _, name := range names {
		if n.children[name], err = sealed(dir, name); err != nil {
			return disk.Info{}, err
		}
	}
	if err := dir.Seal(); err != nil {
		return disk.Info{}, err
	}
	return dir.Stat()
}

// sealed describes a file, or seals and describes a directory.
func sealed(dir disk.Subdir, name string) (*node, error) {
	info, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode.IsDir() {
		return nodeOf(info), nil
	}
	sub, err := dir.OpenDir(name)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	var below node
	if info, err = below.seal(sub); err != nil {
		return nil, err
	}
	n := nodeOf(info)
	n.children = below.children
	return n, nil
}

// check compares all of a tree with m.
func (m *manifest) check(dir disk.Subdir) error {
	info, err := dir.Stat()
	if err == nil && !m.root.same(info) {
		err = fmt.Errorf("%w: the directory of the tree was changed", ErrDamaged)
	}
	if err != nil {
		return err
	}
	return m.root.check(dir)
}

func (n *node) check(dir disk.Subdir) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	if len(names) != len(n.children) {
		return fmt.Errorf("%w: %d files in a directory that had %d", ErrDamaged, len(names), len(n.children))
	}
	for _, name := range names {
		if err := n.children[name].checkAt(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// checkAt compares a file or directory in dir with n. A nil n means that it is not in the
// manifest.
func (n *node) checkAt(dir disk.Subdir, name string) error {
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if n == nil || !n.same(info) {
		return fmt.Errorf("%w: %q in the tree was changed", ErrDamaged, name)
	}
	if !n.dir {
		return nil
	}
	sub, err := dir.OpenDir(name)
	if err != nil {
		return err
	}
	defer sub.Close()
	return n.check(sub)
}

func (m *manifest) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintln(&b, manifestMagic, m.bytes, m.files, m.nonce)
	m.root.encode(&b, "")
	return b.Bytes()
}

func (n *node) encode(b *bytes.Buffer, path string) {
	mode := uint64(n.perm)
	if n.dir {
		mode |= dirBit
	}
	fmt.Fprintln(b, strconv.FormatUint(mode, 8), n.size, n.mtime, n.ctime, n.ino, strconv.Quote(path))
	for _, name := range sortedNames(n.children) {
		n.children[name].encode(b, path+"/"+name)
	}
}

// dirBit marks the mode of a directory.
const dirBit = 0o40000

func sortedNames(m map[string]*node) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	return names
}

var errManifest = fmt.Errorf("%w: it is not the manifest of a tree", ErrDamaged)

// decodeManifest returns the manifest of a tree. The error matches ErrDamaged.
func decodeManifest(b []byte) (*manifest, error) {
	first, rest, _ := strings.Cut(string(b), "\n")
	var m manifest
	fields, ok := strings.CutPrefix(first, manifestMagic+" ")
	if n, err := fmt.Sscan(fields, &m.bytes, &m.files, &m.nonce); !ok || n != 3 || err != nil {
		return nil, errManifest
	}
	nodes := map[string]*node{}
	for line := range strings.Lines(rest) {
		path, n := decodeNode(strings.TrimSuffix(line, "\n"))
		if n == nil || nodes[path] != nil {
			return nil, errManifest
		}
		nodes[path] = n
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			continue
		}
		parent := nodes[path[:i]]
		if parent == nil || !parent.dir {
			return nil, errManifest
		}
		parent.children[path[i+1:]] = n
	}
	root := nodes[""]
	if root == nil || !root.dir {
		return nil, errManifest
	}
	m.root = *root
	return &m, nil
}

func decodeNode(line string) (path string, n *node) {
	fields := strings.SplitN(line, " ", 6)
	if len(fields) != 6 {
		return "", nil
	}
	var err [6]error
	var mode uint64
	n = &node{}
	mode, err[0] = strconv.ParseUint(fields[0], 8, 32)
	n.size, err[1] = strconv.ParseInt(fields[1], 10, 64)
	n.mtime, err[2] = strconv.ParseInt(fields[2], 10, 64)
	n.ctime, err[3] = strconv.ParseInt(fields[3], 10, 64)
	n.ino, err[4] = strconv.ParseUint(fields[4], 10, 64)
	path, err[5] = strconv.Unquote(fields[5])
	if err != [6]error{} {
		return "", nil
	}
	n.perm = uint32(mode &^ dirBit)
	if n.dir = mode&dirBit != 0; n.dir {
		n.children = map[string]*node{}
	}
	return path, n
}
