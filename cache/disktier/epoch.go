package disktier

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Epochs are what makes a Delete final, for all processes, without a lock, and if
// one is killed anywhere in between. A name has a slot in a file of random numbers,
// which Delete changes; a record has that of the lease it was loaded with, and is none
// when the slot has another one. The file begins with a number of its own, so that
// records end with the file. Names that share a slot are deleted together.
const (
	epochSize = 16 // the file's number and the slot's
	slotCount = 1 << 16
	epochFile = "epochs"
)

// epoch returns that of a name. It makes what is missing.
func (t *Tier) epoch(name string) (string, error) {
	f, err := t.openEpochs(os.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b [epochSize]byte
	if _, err := f.ReadAt(b[:8], 0); err != nil {
		return "", err
	}
	if _, err := f.ReadAt(b[8:], slot(name)); err != nil {
		return "", err
	}
	return string(b[:]), nil
}

// newEpoch gives a name, and those that share its slot, a new one.
func (t *Tier) newEpoch(name string) error {
	f, err := t.openEpochs(os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	var b [8]byte
	rand.Read(b[:]) // never fails
	_, err = f.WriteAt(b[:], slot(name))
	return err
}

// slot is where in the file a name's number is. The last bytes of the hash tell names
// apart that differ only at their end, the first ones do not.
func slot(name string) int64 {
	h := sum(name)
	return 8 + 8*int64(binary.BigEndian.Uint16(h[len(h)-2:]))
}

// openEpochs opens the file, or makes one.
func (t *Tier) openEpochs(flag int) (*os.File, error) {
	if err := t.checkDir(); err != nil {
		return nil, err
	}
	path := filepath.Join(t.dir, epochFile)
	f, err := os.OpenFile(path, flag, 0)
	if err == nil {
		return f, t.checkEpochs(f)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := t.makeEpochs(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flag, 0)
}

// checkEpochs closes and removes a file that is not whole: somebody has cut it.
func (t *Tier) checkEpochs(f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Size() != epochsSize {
		err = fmt.Errorf("disktier: %s is damaged", f.Name())
		os.Remove(f.Name())
	}
	if err != nil {
		f.Close()
	}
	return err
}

const epochsSize = 8 + 8*slotCount

// makeEpochs makes the file, whose slots are all zero, unless another process has. It
// takes its room at once, so that a Delete needs none.
func (t *Tier) makeEpochs(path string) error {
	f, err := os.CreateTemp(t.dir, "tmp-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	b := make([]byte, epochsSize)
	rand.Read(b[:8])
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Link(f.Name(), path); errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// epochOf is the epoch that a lease is of. One from elsewhere is of none.
func epochOf(lease string) string {
	if len(lease) != epochSize {
		return string(make([]byte, epochSize))
	}
	return lease
}

// checkDir makes the directory if it is missing. It must be ours alone: who can write
// to it can answer in the database's name.
func (t *Tier) checkDir() error {
	info, err := os.Lstat(t.dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(t.dir, 0o700); err != nil {
			return err
		}
		info, err = os.Lstat(t.dir)
	}
	if err == nil && (!info.IsDir() || !private(info)) {
		err = fmt.Errorf("disktier: %s is not a directory of this user alone", t.dir)
	}
	return err
}
