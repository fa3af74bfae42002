package faults

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The outcomes of a reading.
const (
	hit     = "hit"
	fetched = "fetched"
	failed  = "error"
	wrong   = "WRONG"
	stale   = "stale"
	hung    = "hangs"
	skipped = "-"
)

// fixture is a library's directory and its origin. Its methods end the case by a panic
// with a skip if the case cannot be made.
type fixture struct {
	peer   peer
	dir    string
	source *source
	old    []byte // the object before it changed

	outcome, note string // the worst reading so far
}

// skip is the reason why a case cannot be made.
type skip struct{ error }

// need ends the case if err is not nil.
func need(err error) {
	if err != nil {
		panic(skip{err})
	}
}

// patience is a time limit far above the duration of any case.
const patience = 5 * time.Minute

// try runs a case, and returns the outcome with a note.
func try(dir string, c testCase, p peer) (outcome, note string) {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return skipped, err.Error()
	}
	defer os.RemoveAll(sub)
	w := &fixture{peer: p, dir: filepath.Join(sub, "cache"), source: newSource()}
	done := make(chan bool)
	go func() {
		defer close(done)
		defer func() {
			if s, ok := recover().(skip); ok {
				w.outcome, w.note = skipped, firstLine(s)
			}
		}()
		c.do(w)
	}()
	select {
	case <-done:
		return w.outcome, strings.ReplaceAll(w.note, sub, "DIR")
	case <-time.After(patience):
		return hung, ""
	}
}

// process starts a process that uses the library.
func (w *fixture) process() read {
	r, err := w.peer.open(w.dir, w.source)
	if err != nil {
		return func(string) ([]byte, error) { return nil, err }
	}
	return r
}

// fill reads both objects in a process that then ends.
func (w *fixture) fill() {
	read := w.process()
	for _, key := range []string{"a", "b"} {
		_, err := read(key)
		need(err)
	}
}

// look reads object a and compares it with the origin's. The worst result of all
// readings is the outcome of the case.
func (w *fixture) look(read read) {
	before := w.source.fetched()
	b, err := read("a")
	want, _ := w.source.get("a")
	outcome, note := hit, ""
	switch {
	case err != nil:
		outcome, note = failed, firstLine(err)
	case w.old != nil && bytes.Equal(b, w.old):
		outcome = stale
	case !bytes.Equal(b, want):
		outcome = wrong
	case w.source.fetched() > before:
		outcome = fetched
	}
	order := []string{"", hit, fetched, failed, stale, wrong}
	if slices.Index(order, outcome) >= slices.Index(order, w.outcome) {
		w.outcome, w.note = outcome, cmp.Or(note, w.note)
	}
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// restarted reads the object in a new process.
func (w *fixture) restarted() { w.look(w.process()) }

// find returns the file that contains an object, and the offset of its bytes.
func (w *fixture) find(key string) (name string, at int) {
	b, _ := w.source.get(key)
	at = -1
	need(filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || at >= 0 {
			return err
		}
		content, err := os.ReadFile(path)
		if i := bytes.Index(content, b); i >= 0 {
			name, at = path, i
		}
		return err
	}))
	if at < 0 {
		need(errors.New("no file has the object's bytes"))
	}
	return name, at
}

// write overwrites bytes of a file in place.
func write(name string, b []byte, at int) {
	need(os.Chmod(name, 0o600)) // it may be read-only
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	need(err)
	defer f.Close()
	_, err = f.WriteAt(b, int64(at))
	need(err)
}
