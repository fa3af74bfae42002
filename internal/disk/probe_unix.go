//go:build unix

package disk

import "golang.org/x/sys/unix"

// probe returns the owner that the file system gives to a file that this process
// makes in h. It makes one without a name if it can. Root makes no other: it could in
// a directory of anybody's.
func (h *handle) probe() (uint32, error) {
	f, err := h.createUnnamed()
	if err != nil && euid() != 0 {
		name := tempName()
		if f, err = h.createNew(name); err == nil {
			defer h.remove(name)
		}
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return 0, err
	}
	return st.Uid, nil
}
