package disktier

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"

	"github.com/warmcache/warmcache/internal/disk"
)

// Epochs make a Delete final for all processes, without a lock, even if a process
// is killed at any point. A name has a slot in a file of random numbers. Delete
// changes the slot. A record has the epoch of the lease it was loaded with, and is
// invalid if the slot has changed. The file begins with a random number, so that
// all records become invalid if the file is replaced. Names that share a slot are
// deleted together.
const (
	epochSize = 16 // the file's number and the slot's
	slotCount = 1 << 16
	epochFile = "epochs"
)

// epoch returns the epoch of a name. It makes the file if it is missing.
func (t *Tier) epoch(name string) (string, error) {
	f, err := t.openEpochs(t.disk.Open)
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

// newEpoch gives a name, and those that share its slot, a new epoch.
func (t *Tier) newEpoch(name string) error {
	var w io.WriterAt
	f, err := t.openEpochs(func(name string) (disk.File, error) {
		m, err := t.disk.Modify(name)
		w = m
		return m, err
	})
	if err != nil {
		return err
	}
	defer f.Close()
	var b [8]byte
	rand.Read(b[:]) // never fails
	_, err = w.WriteAt(b[:], slot(name))
	return err
}

// slot returns the offset of a name's number in the file. It uses the last bytes of the
// hash, since the first ones do not tell names apart that differ only at their end.
func slot(name string) int64 {
	h := sum(name)
	return 8 + 8*int64(binary.BigEndian.Uint16(h[len(h)-2:]))
}

// openEpochs opens the file. It makes the file first if there is none, or something
// else in its place.
func (t *Tier) openEpochs(open func(name string) (disk.File, error)) (disk.File, error) {
	if err := t.disk.Make(); err != nil {
		return nil, err
	}
	f, err := t.openWhole(open)
	if !errors.Is(err, errNoEpochs) {
		return f, err
	}
	if err := t.makeEpochs(); err != nil {
		return nil, err
	}
	return t.openWhole(open)
}

// errNoEpochs means that the file must be made again, which ends all records.
var errNoEpochs = errors.New("the file of epochs is missing or damaged")

func (t *Tier) openWhole(open func(name string) (disk.File, error)) (disk.File, error) {
	f, err := open(epochFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoEpochs
	case err != nil:
		if info, e := t.disk.Lstat(epochFile); e == nil && !info.Private() {
			return nil, t.dropEpochs()
		}
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Private() && info.Size == epochsSize {
		return f, nil
	}
	f.Close()
	if err != nil {
		return nil, err
	}
	return nil, t.dropEpochs()
}

// dropEpochs removes a file whose contents are invalid.
func (t *Tier) dropEpochs() error {
	if err := t.disk.RemoveAll(epochFile); err != nil {
		return err
	}
	return errNoEpochs
}

const epochsSize = 8 + 8*slotCount

// makeEpochs makes the file, with all slots zero, unless another process has. It writes
// the whole file, so that a Delete needs no room.
func (t *Tier) makeEpochs() error {
	f, err := t.disk.Create("", epochsSize)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, epochsSize)
	rand.Read(b[:8])
	if n, err := f.Write(b); err != nil || n < len(b) {
		return cmp.Or(err, io.ErrShortWrite)
	}
	if err := f.MakeModifiable(); err != nil {
		return err
	}
	if err := f.Publish(epochFile); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// epochOf returns the epoch of a lease, or none for a lease of another Tier.
func epochOf(lease string) string {
	if len(lease) != epochSize {
		return string(make([]byte, epochSize))
	}
	return lease
}
