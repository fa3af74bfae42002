package main

import (
	"archive/zip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pack writes a zip with the program, under that name, and the files. The same
// contents give the same zip, so that a host can detect that nothing has changed.
func pack(path, name, program string, files []string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(path)
		}
	}()
	z := zip.NewWriter(f)
	if err := add(z, name, 0o755, program); err != nil {
		return err
	}
	for _, file := range files {
		if err := add(z, filepath.Base(file), mode(file), file); err != nil {
			return err
		}
	}
	return z.Close()
}

// mode returns the mode of a file on the host: readable by everybody, and
// executable if the file is the program.
func mode(file string) fs.FileMode {
	if info, err := os.Stat(file); err == nil && info.Mode()&0o111 != 0 {
		return 0o755
	}
	return 0o644
}

func add(z *zip.Writer, name string, mode fs.FileMode, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	header := &zip.FileHeader{
		Name:     name,
		Method:   zip.Deflate,
		Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), // the earliest time in a zip
	}
	header.SetMode(mode)
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
