package disk

import "time"

// Guarded returns an FS whose calls fail with ErrOpen while b is open. Files that are
// already open can still be read.
func Guarded(d FS, b *Breaker) FS { return guarded{d, b} }

type guarded struct {
	fs      FS
	breaker *Breaker
}

// try1 calls f unless b is open.
func try1[T any](b *Breaker, f func() (T, error)) (T, error) {
	if err := b.allow(); err != nil {
		var zero T
		return zero, err
	}
	return f()
}

func try(b *Breaker, f func() error) error {
	if err := b.allow(); err != nil {
		return err
	}
	return f()
}

func (g guarded) Check() error          { return try(g.breaker, g.fs.Check) }
func (g guarded) Make() error           { return try(g.breaker, g.fs.Make) }
func (g guarded) Space() (Space, error) { return try1(g.breaker, g.fs.Space) }
func (g guarded) Mkdir(name string) error {
	return try(g.breaker, func() error { return g.fs.Mkdir(name) })
}
func (g guarded) Remove(name string) error {
	return try(g.breaker, func() error { return g.fs.Remove(name) })
}
func (g guarded) Rename(from, to string) error {
	return try(g.breaker, func() error { return g.fs.Rename(from, to) })
}
func (g guarded) RemoveAll(name string) error {
	return try(g.breaker, func() error { return g.fs.RemoveAll(name) })
}
func (g guarded) Touch(name string, t time.Time) error {
	return try(g.breaker, func() error { return g.fs.Touch(name, t) })
}
func (g guarded) Lstat(name string) (Info, error) {
	return try1(g.breaker, func() (Info, error) { return g.fs.Lstat(name) })
}
func (g guarded) OpenDir(name string) (Subdir, error) {
	return try1(g.breaker, func() (Subdir, error) { return g.fs.OpenDir(name) })
}
func (g guarded) Modify(name string) (Modifiable, error) {
	return try1(g.breaker, func() (Modifiable, error) { return g.fs.Modify(name) })
}
func (g guarded) ReadDir(name string) ([]string, error) {
	return try1(g.breaker, func() ([]string, error) { return g.fs.ReadDir(name) })
}
func (g guarded) List(name string) (Listing, error) {
	return try1(g.breaker, func() (Listing, error) { return g.fs.List(name) })
}
func (g guarded) Locks(name string) (Locks, error) {
	return try1(g.breaker, func() (Locks, error) { return g.fs.Locks(name) })
}
func (g guarded) Path(name string) (string, error) {
	return try1(g.breaker, func() (string, error) { return g.fs.Path(name) })
}
func (g guarded) Create(dir string, size int64) (NewFile, error) {
	return try1(g.breaker, func() (NewFile, error) { return g.fs.Create(dir, size) })
}

// Open is called on each hit, so it avoids a closure.
func (g guarded) Open(name string) (File, error) {
	if err := g.breaker.allow(); err != nil {
		return nil, err
	}
	return g.fs.Open(name)
}
