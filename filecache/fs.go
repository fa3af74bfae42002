package filecache

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// A Bucket returns objects by name. s3source.Bucket implements it.
type Bucket interface {
	Object(name string) Object
}

// A Lister is a Bucket that can list its objects. Without it, [Cache.FS] has no
// directories.
type Lister interface {
	// List returns the objects and directories in dir, or those at the top if dir is
	// empty. A directory is an element of an object's name that a slash follows.
	List(ctx context.Context, dir string) ([]Listed, error)
}

// Listed is an element of a listing.
type Listed struct {
	Name     string // the last element, without slashes
	Dir      bool
	Size     int64     // of an object
	Modified time.Time // of an object; zero if unknown
}

// FS returns the bucket as a file system that reads through the Cache with ctx. It
// implements [fs.ReadFileFS], [fs.StatFS] and [fs.ReadDirFS], and its files are *File.
//
// Names must satisfy [fs.ValidPath]; for others, such as one that ends in a slash, use
// [Cache.Open]. If both "a" and "a/b" are objects, "a" is a file to Open and Stat. Stat
// makes a local copy, as Open does.
func (c *Cache) FS(ctx context.Context, bucket Bucket) fs.FS {
	return bucketFS{c, ctx, bucket}
}

type bucketFS struct {
	cache  *Cache
	ctx    context.Context
	bucket Bucket
}

func (b bucketFS) Open(name string) (fs.File, error) {
	if err := valid("open", name); err != nil {
		return nil, err
	}
	if name != "." {
		f, err := b.cache.Open(b.ctx, b.bucket.Object(name))
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, at("open", name, err)
		}
	}
	entries, err := b.ReadDir(name)
	if err != nil {
		return nil, at("open", name, err)
	}
	return &directory{name: name, entries: entries}, nil
}

func (b bucketFS) ReadFile(name string) ([]byte, error) {
	if err := valid("read", name); err != nil {
		return nil, err
	}
	data, err := b.cache.ReadFile(b.ctx, b.bucket.Object(name))
	if err != nil {
		return nil, at("read", name, err)
	}
	return data, nil
}

func (b bucketFS) Stat(name string) (fs.FileInfo, error) {
	f, err := b.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

func (b bucketFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := valid("readdir", name); err != nil {
		return nil, err
	}
	lister, ok := b.bucket.(Lister)
	if !ok {
		return nil, at("readdir", name, fs.ErrNotExist)
	}
	dir := name
	if name == "." {
		dir = ""
	}
	list, err := lister.List(b.ctx, dir)
	if err != nil {
		return nil, at("readdir", name, err)
	}
	if len(list) == 0 && name != "." {
		return nil, at("readdir", name, fs.ErrNotExist)
	}
	return toEntries(list), nil
}

// toEntries converts a listing for fs.ReadDirFS: sorted, each name once, and without
// names that cannot be opened.
func toEntries(list []Listed) []fs.DirEntry {
	var entries []fs.DirEntry
	seen := map[string]bool{}
	// If a name is an object and a directory, the object comes first and is kept.
	slices.SortStableFunc(list, func(a, b Listed) int {
		if c := strings.Compare(a.Name, b.Name); c != 0 || a.Dir == b.Dir {
			return c
		} else if b.Dir {
			return -1
		}
		return 1
	})
	for _, l := range list {
		if seen[l.Name] || !fs.ValidPath(l.Name) || l.Name == "." || strings.Contains(l.Name, "/") {
			continue
		}
		seen[l.Name] = true
		entries = append(entries, fs.FileInfoToDirEntry(listedInfo{l}))
	}
	return entries
}

func valid(op, name string) error {
	if !fs.ValidPath(name) {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// at returns err with the name that the caller used, followed by the object's own error.
func at(op, name string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) && pe.Path == name {
		return err
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// listedInfo is the fs.FileInfo of an element of a listing.
type listedInfo struct{ Listed }

func (i listedInfo) Name() string       { return i.Listed.Name }
func (i listedInfo) Size() int64        { return i.Listed.Size }
func (i listedInfo) ModTime() time.Time { return i.Modified }
func (i listedInfo) IsDir() bool        { return i.Dir }
func (i listedInfo) Sys() any           { return nil }

func (i listedInfo) Mode() fs.FileMode {
	if i.Dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

// directory is an open directory.
type directory struct {
	name    string
	entries []fs.DirEntry
	offset  int
}

func (d *directory) Stat() (fs.FileInfo, error) {
	return listedInfo{Listed{Name: path.Base(d.name), Dir: true}}, nil
}

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}

func (d *directory) Close() error { return nil }

func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.entries[d.offset:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 {
		rest = rest[:min(n, len(rest))]
	}
	d.offset += len(rest)
	return slices.Clone(rest), nil
}
