//go:build unix

package disk

import "golang.org/x/sys/unix"

// probe returns the owner that the file system assigns to a new file in h. It makes an
// unnamed file if it can. Root never makes a named one, since root could do so in any
// user's directory.
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
