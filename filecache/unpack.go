package filecache

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/warmcache/warmcache/filecache/internal/store"
)

// The limits of an archive. Linux limits a path to 4096 bytes, including that of the
// tree.
const (
	maxTreeFiles = 65_536
	maxTreeDepth = 64
	maxTreePath  = 2048
	maxTreeName  = 255
)

// An unpacker unpacks an archive into a tree.
type unpacker struct {
	ctx   context.Context
	tree  *store.TreeDraft
	limit int64
	left  int64
	isDir map[string]bool // of each entry so far
}

func newUnpacker(ctx context.Context, tree *store.TreeDraft, limit int64) *unpacker {
	return &unpacker{ctx: ctx, tree: tree, limit: limit, left: limit, isDir: map[string]bool{}}
}

// unpack unpacks f. It detects the format by the first bytes.
func (u *unpacker) unpack(f *File) error {
	var magic [4]byte
	if n, err := f.ReadAt(magic[:], 0); n < len(magic) {
		if err == io.EOF {
			err = errNoArchive
		}
		return err
	}
	switch first := string(magic[:]); {
	case first == "PK\x03\x04", first == "PK\x05\x06": // a file, or the end
		return u.zip(f)
	case first[:2] == "\x1f\x8b":
		return u.gzip(f)
	}
	err := u.tar(bufio.NewReaderSize(f, 64<<10))
	if errors.Is(err, tar.ErrHeader) && len(u.isDir) == 0 {
		err = fmt.Errorf("%w: %w", errNoArchive, err)
	}
	return err
}

var errNoArchive = errors.New("it is neither a tar nor a tar.gz nor a zip: Derived can convert other formats to tar")

func (u *unpacker) gzip(f *File) error {
	r, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
	if err != nil {
		return err
	}
	if err := u.tar(r); err != nil {
		return err
	}
	// The checksum is at the end.
	_, err = io.Copy(LimitWriter(io.Discard, u.limit), u.heed(r))
	return err
}

func (u *unpacker) tar(r io.Reader) error {
	t := tar.NewReader(u.heed(r))
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		switch h.Typeflag {
		case tar.TypeXGlobalHeader: // git archive writes one
			continue
		case tar.TypeDir:
			err = u.directory(h.Name)
		case tar.TypeReg:
			err = u.file(h.Name, h.Size, h.FileInfo().Mode(), h.ModTime, t)
		default:
			err = entryError(h.Name, "it is a %s: only files and directories are unpacked", tarType(h.Typeflag))
		}
		if err != nil {
			return err
		}
	}
}

func tarType(flag byte) string {
	switch flag {
	case tar.TypeLink:
		return "hard link"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "FIFO"
	}
	return fmt.Sprintf("tar entry of type %q", flag)
}

func (u *unpacker) zip(f *File) error {
	r, err := zip.NewReader(f, f.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return err
	}
	if len(r.File) > maxTreeFiles {
		return errTooManyFiles
	}
	for _, e := range r.File {
		if err := u.zipped(e); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipped(e *zip.File) error {
	const encrypted = 1
	switch mode := e.Mode(); {
	case mode.IsDir():
		return u.directory(e.Name)
	case !mode.IsRegular():
		return entryError(e.Name, "it has the mode %v: only files and directories are unpacked", mode)
	case e.Flags&encrypted != 0:
		return entryError(e.Name, "it is encrypted")
	}
	r, err := e.Open()
	if err != nil {
		return entryError(e.Name, "%w", err)
	}
	defer r.Close()
	return u.file(e.Name, int64(e.UncompressedSize64), e.Mode(), e.Modified, u.heed(r))
}

// directory makes a directory unless it exists.
func (u *unpacker) directory(name string) error {
	clean, err := treeName(strings.TrimSuffix(name, "/"))
	if err != nil || clean == "." {
		return err
	}
	return u.mkdir(clean)
}

// file makes a file and its missing parent directories.
func (u *unpacker) file(name string, size int64, mode fs.FileMode, modified time.Time, r io.Reader) error {
	clean, err := treeName(name)
	switch {
	case err != nil:
		return err
	case clean == ".":
		return entryError(name, "it is the top directory")
	}
	if dir := path.Dir(clean); dir != "." {
		if err := u.mkdir(dir); err != nil {
			return err
		}
	}
	if _, ok := u.isDir[clean]; ok {
		return entryError(name, "the archive has it twice")
	}
	if err := u.add(clean, false, size); err != nil {
		return err
	}
	if modified.Unix() <= 0 || !knowable(modified) {
		modified = time.Time{}
	}
	if err := u.tree.File(clean, size, mode&0o111 != 0, modified, r); err != nil {
		return entryError(name, "%w", err)
	}
	return nil
}

// mkdir makes a directory and its missing parents.
func (u *unpacker) mkdir(name string) error {
	isDir, ok := u.isDir[name]
	switch {
	case isDir:
		return nil
	case ok:
		return entryError(name, "the archive has it as a file and as a directory")
	}
	if parent := path.Dir(name); parent != "." {
		if err := u.mkdir(parent); err != nil {
			return err
		}
	}
	if err := u.add(name, true, 0); err != nil {
		return err
	}
	return u.tree.Mkdir(name)
}

// add counts a file or a directory before it is made.
func (u *unpacker) add(name string, isDir bool, size int64) error {
	if len(u.isDir) >= maxTreeFiles {
		return errTooManyFiles
	}
	if size < 0 || size > u.left { // the archive's header can have any size
		return u.tooLarge()
	}
	if u.left -= store.TreeBytes(size); u.left < 0 {
		return u.tooLarge()
	}
	u.isDir[name] = isDir
	return u.ctx.Err()
}

var errTooManyFiles = fmt.Errorf("%w: more than %d files and directories", ErrTooLarge, maxTreeFiles)

func (u *unpacker) tooLarge() error {
	return fmt.Errorf("%w: more than %d bytes unpacked; pass Tree a larger limit", ErrTooLarge, u.limit)
}

// treeName returns the path in the tree for an archive's entry, or "." for the tree
// itself.
func treeName(name string) (string, error) {
	clean := name
	for strings.HasPrefix(clean, "./") { // as in tar -C dir .
		clean = clean[2:]
	}
	if clean == "" {
		clean = "."
	}
	switch {
	case name == "":
		return "", entryError(name, "it has no name")
	case strings.ContainsAny(name, "\\\x00"), !fs.ValidPath(clean), !filepath.IsLocal(clean):
		return "", entryError(name, "its name is not a plain relative path: absolute names, the elements .. and ., empty elements, backslashes and NULs are refused")
	case len(clean) > maxTreePath, strings.Count(clean, "/") >= maxTreeDepth, hasLongElement(clean):
		return "", entryError(name, "its name is too long or too deep")
	}
	return clean, nil
}

func hasLongElement(name string) bool {
	for e := range strings.SplitSeq(name, "/") {
		if len(e) > maxTreeName {
			return true
		}
	}
	return false
}

func entryError(name, format string, args ...any) error {
	const most = 100
	if len(name) > most {
		name = name[:most] + "..."
	}
	return fmt.Errorf("entry %q of the archive: "+format, append([]any{name}, args...)...)
}

// heed returns a reader of r that fails when ctx is done.
func (u *unpacker) heed(r io.Reader) io.Reader { return heeding{u.ctx, r} }

type heeding struct {
	ctx context.Context
	r   io.Reader
}

func (h heeding) Read(p []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.r.Read(p)
}
