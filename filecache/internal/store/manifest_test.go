package store

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/minio/crc64nvme"
)

func someManifest() *manifest {
	m := newManifest(room{5 << 12, 5})
	m.root = node{dir: true, perm: 0o500, mtime: 1, ino: 2, children: map[string]*node{
		"a\nb \"c\"": {perm: 0o400, size: 5, mtime: -3, ctime: 4, ino: 1<<64 - 1},
		"d": {dir: true, perm: 0o500, mtime: 1, ctime: 2, ino: 3, children: map[string]*node{
			"e":      {perm: 0o500, size: 1 << 40, mtime: 7, ctime: 8, ino: 9},
			"é/"[:2]: {dir: true, children: map[string]*node{}},
		}},
	}}
	return m
}

func TestManifest(t *testing.T) {
	m := someManifest()
	b := m.encode()
	got, err := decodeManifest(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	m.nonce = got.nonce
	if !reflect.DeepEqual(got, m) {
		t.Errorf("%s: decoded %+v", b, got)
	}
	if string(b) == string(someManifest().encode()) {
		t.Error("two trees have the same manifest")
	}
	lines := strings.SplitAfter(string(b), "\n")
	for _, bad := range []string{
		"", lines[0], "warmcache tree 2" + string(b[16:]), string(b) + lines[2],
		strings.Join(append(lines[:1:1], lines[2:]...), ""), // no root
		lines[0] + strings.ReplaceAll(lines[1], "40500", "500"),
		lines[0] + lines[1] + "400 1 1 1 1 \"/x/y\"\n", // no parent
		lines[0] + lines[1] + "400 1 1 1 \"/x\"\n",
		lines[0] + lines[1] + "400 1 1 1 1 /x\n",
	} {
		if _, err := decodeManifest([]byte(bad)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestTreeName(t *testing.T) {
	entry := Key{Name: "x"}.entryName()
	name := treeName(entry, room{8 << 12, 3}, crc64nvme.Checksum([]byte("x")))
	if !isTreeName(name) || entryOf(name) != entry || treeRoom(name) != (room{8 << 12, 3}) || treeCRC(name) != crc64nvme.Checksum([]byte("x")) {
		t.Errorf("%s: %v, %x", name, treeRoom(name), treeCRC(name))
	}
	for _, bad := range []string{"", "-", "---", dataName(entry, 1, 1), entry, name[1:], name + "0", treeName(entry, room{}, 1), treeName(entry, room{-1, 1}, 1), treeName("../"+entry[3:], room{1, 1}, 1)} {
		if isTreeName(bad) {
			t.Errorf("%q is accepted as the name of a tree", bad)
		}
	}
}

func FuzzManifest(f *testing.F) {
	f.Add(someManifest().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeManifest(b)
		if err != nil {
			return
		}
		if again, err := decodeManifest(m.encode()); err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%q: %v, then %v, %v", b, m, again, err)
		}
	})
}
