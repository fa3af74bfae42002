package filecache

import (
	"io/fs"
	"time"
)

// guardedDisk is a disk that is used only while its breaker allows. Files that
// are open are read all the same.
type guardedDisk struct {
	disk
	breaker *breaker
}

func (g guardedDisk) check() error {
	if !g.breaker.allows() {
		return errResting
	}
	return nil
}

func (g guardedDisk) Mkdir(path string) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.disk.Mkdir(path)
}

func (g guardedDisk) Lstat(path string) (fs.FileInfo, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.disk.Lstat(path)
}

func (g guardedDisk) Open(path string) (file, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.disk.Open(path)
}

func (g guardedDisk) Create(dir string, size int64) (newFile, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.disk.Create(dir, size)
}

func (g guardedDisk) Remove(path string) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.disk.Remove(path)
}

func (g guardedDisk) ReadDir(path string) ([]string, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.disk.ReadDir(path)
}

func (g guardedDisk) Touch(path string, t time.Time) error {
	if err := g.check(); err != nil {
		return err
	}
	return g.disk.Touch(path, t)
}

func (g guardedDisk) Turns(path string) (turns, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.disk.Turns(path)
}

func (g guardedDisk) Space(path string) (space, error) {
	if err := g.check(); err != nil {
		return space{}, err
	}
	return g.disk.Space(path)
}
