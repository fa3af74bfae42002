package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// outcome is what a library made of a case.
type outcome string

const (
	hit     outcome = "hit"
	fetched outcome = "fetched"
	failed  outcome = "error"
	wrong   outcome = "WRONG"
	stale   outcome = "stale"
	hung    outcome = "hangs"
	skipped outcome = "-"
)

// world is a library's directory and its origin.
type world struct {
	peer   peer
	dir    string
	source *source
	old    []byte // what the object was before, if it has changed
}

// process begins a process of the library.
func (w *world) process() (read, error) { return w.peer.open(w.dir, w.source) }

// fill reads both objects in a process that then ends.
func (w *world) fill() error {
	read, err := w.process()
	if err != nil {
		return err
	}
	for _, key := range []string{"a", "b"} {
		if o, note := w.look(read, key); o != hit && o != fetched {
			return fmt.Errorf("%s: %s %s", key, o, note)
		}
	}
	return nil
}

// look reads an object and compares it with the origin's.
func (w *world) look(read read, key string) (outcome, string) {
	before := w.source.fetched()
	b, err := read(key)
	want, _ := w.source.get(key)
	switch {
	case err != nil:
		return failed, firstLine(err)
	case w.old != nil && bytes.Equal(b, w.old):
		return stale, ""
	case !bytes.Equal(b, want):
		return wrong, fmt.Sprintf("%d of %d bytes", len(b), len(want))
	case w.source.fetched() > before:
		return fetched, ""
	}
	return hit, ""
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// restarted is look in a new process.
func (w *world) restarted() (outcome, string) {
	read, err := w.process()
	if err != nil {
		return failed, firstLine(err)
	}
	return w.look(read, "a")
}

// testCase is something that happens, and the reading after it.
type testCase struct {
	name string
	do   func(w *world) (outcome, string, error)
}

func try(dir string, c testCase, p peer) (outcome, string) {
	sub, err := os.MkdirTemp(dir, "")
	if err != nil {
		return skipped, err.Error()
	}
	defer os.RemoveAll(sub)
	w := &world{peer: p, dir: filepath.Join(sub, "cache"), source: newSource()}
	type result struct {
		outcome
		note string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		o, note, err := c.do(w)
		done <- result{o, note, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return skipped, firstLine(r.err)
		}
		return r.outcome, strings.ReplaceAll(r.note, sub, "DIR")
	case <-time.After(patience):
		return hung, ""
	}
}

// patience is far beyond what any of it takes.
const patience = 10 * time.Second

func cases() []testCase {
	return []testCase{
		{"nothing happens", damaged(func(string, int) error { return nil })},
		{"one byte flipped", damaged(func(name string, at int) error {
			return overwrite(name, at+objectSize/2, func(b []byte) { b[0] ^= 1 }, 1)
		})},
		{"a block of zeros", damaged(func(name string, at int) error {
			return overwrite(name, at+objectSize/2, func(b []byte) { clear(b) }, 4096)
		})},
		{"cut to half", damaged(func(name string, at int) error { return os.Truncate(name, int64(at+objectSize/2)) })},
		{"empty", damaged(func(name string, _ int) error { return os.Truncate(name, 0) })},
		{"extended", damaged(func(name string, _ int) error {
			f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("and more")
			return err
		})},
		{"the files of two objects swapped", swapped},
		{"a symlink to another file in its place", damaged(func(name string, _ int) error {
			other := name + ".other"
			if err := os.WriteFile(other, content(9), 0o600); err != nil {
				return err
			}
			return errors.Join(os.Remove(name), os.Symlink(other, name))
		})},
		{"flipped while the process runs", warm},
		{"changed at the origin", func(w *world) (outcome, string, error) {
			err := w.fill()
			w.old, _ = w.source.get("a")
			w.source.put("a", content(3))
			o, note := w.restarted()
			return o, note, err
		}},
		{"connection broke in the middle, read again", broken},
		{"killed in the middle of a download", killed},
		{"disk full", onFullDisk},
		{"disk full, and then room", onFullDiskThenRoom},
		{"the directory is a file", func(w *world) (outcome, string, error) {
			if err := os.WriteFile(w.dir, nil, 0o600); err != nil {
				return "", "", err
			}
			o, note := w.restarted()
			return o, note, nil
		}},
		{"the directory vanishes while the process runs", func(w *world) (outcome, string, error) {
			read, err := w.process()
			if err != nil {
				return "", "", err
			}
			w.look(read, "b")
			if err := os.RemoveAll(w.dir); err != nil {
				return "", "", err
			}
			o, note := w.look(read, "a")
			return o, note, nil
		}},
	}
}

// damaged changes the file that has object a's bytes, from the one at on.
func damaged(change func(name string, at int) error) func(*world) (outcome, string, error) {
	return func(w *world) (outcome, string, error) {
		if err := w.fill(); err != nil {
			return "", "", err
		}
		b, _ := w.source.get("a")
		name, at, err := w.find(b)
		if err == nil {
			err = change(name, at)
		}
		if err != nil {
			return "", "", err
		}
		o, note := w.restarted()
		return o, note, nil
	}
}

// find returns the file that contains b, and where.
func (w *world) find(b []byte) (name string, at int, err error) {
	at = -1
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || at >= 0 {
			return err
		}
		content, err := os.ReadFile(path)
		if i := bytes.Index(content, b); i >= 0 {
			name, at = path, i
		}
		return err
	})
	if err == nil && at < 0 {
		err = errors.New("no file has the object's bytes")
	}
	return name, at, err
}

func overwrite(name string, at int, change func([]byte), n int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	change(b[at : at+n])
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(b[at:at+n], int64(at))
	return err
}

// swapped exchanges the names of the files with the bytes of a and b.
func swapped(w *world) (outcome, string, error) {
	if err := w.fill(); err != nil {
		return "", "", err
	}
	a, _ := w.source.get("a")
	b, _ := w.source.get("b")
	nameA, _, errA := w.find(a)
	nameB, _, errB := w.find(b)
	if err := errors.Join(errA, errB); err != nil {
		return "", "", err
	}
	temp := nameA + ".swap"
	if err := errors.Join(os.Rename(nameA, temp), os.Rename(nameB, nameA), os.Rename(temp, nameB)); err != nil {
		return "", "", err
	}
	o, note := w.restarted()
	return o, note, nil
}

// warm flips a byte under a process that has read the object before.
func warm(w *world) (outcome, string, error) {
	read, err := w.process()
	if err != nil {
		return "", "", err
	}
	w.look(read, "a")
	w.look(read, "a")
	b, _ := w.source.get("a")
	name, at, err := w.find(b)
	if err == nil {
		err = overwrite(name, at+objectSize/2, func(b []byte) { b[0] ^= 1 }, 1)
	}
	if err != nil {
		return "", "", err
	}
	o, note := w.look(read, "a")
	return o, note, nil
}

// broken reads while the connection breaks, and then again when it does not.
func broken(w *world) (outcome, string, error) {
	read, err := w.process()
	if err != nil {
		return "", "", err
	}
	w.source.half = func() error { return errBroken }
	if o, note := w.look(read, "a"); o == wrong {
		return o, note, nil
	}
	w.source.half = nil
	o, note := w.look(read, "a")
	if o == wrong {
		return o, note, nil
	}
	restarted, again := w.restarted()
	return worse(o, restarted), joined(note, again), nil
}

func joined(a, b string) string {
	if a == b {
		return a
	}
	return strings.Trim(a+"; "+b, "; ")
}

// worse returns the worse of two outcomes.
func worse(a, b outcome) outcome {
	order := []outcome{hit, fetched, failed, hung, wrong}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

const (
	childPeer = "WARMCACHE_FAULTS_PEER"
	childDir  = "WARMCACHE_FAULTS_DIR"
)

// serveIfChild makes this program one that downloads for ever.
func serveIfChild() {
	name, ok := os.LookupEnv(childPeer)
	if !ok {
		return
	}
	for _, p := range peers() {
		if p.name != name {
			continue
		}
		s := newSource()
		s.half = func() error { fmt.Println("half"); time.Sleep(time.Hour); return nil }
		read, err := p.open(os.Getenv(childDir), s)
		if err == nil {
			_, err = read("a")
		}
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

// killed ends a process by SIGKILL when half of the bytes have come.
func killed(w *world) (outcome, string, error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPeer+"="+w.peer.name, childDir+"="+w.dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", err
	}
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	_, err = out.Read(make([]byte, 4))
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil {
		return "", "", err
	}
	o, note := w.restarted()
	return o, note, nil
}

// onFullDisk reads twice on a file system with room for half an object.
func onFullDisk(w *world) (outcome, string, error) {
	unmount, err := w.mount(objectSize / 2)
	if err != nil {
		return "", "", err
	}
	defer unmount()
	o, note := w.restarted()
	again, more := w.restarted()
	return worse(o, again), joined(note, more), nil
}

// onFullDiskThenRoom is what is left of that when the disk is larger.
func onFullDiskThenRoom(w *world) (outcome, string, error) {
	unmount, err := w.mount(objectSize / 2)
	if err != nil {
		return "", "", err
	}
	defer unmount()
	w.restarted()
	if err := w.remount(4 * objectSize); err != nil {
		return "", "", err
	}
	o, note := w.restarted()
	return o, note, nil
}
