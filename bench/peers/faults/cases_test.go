package faults

import (
	"fmt"
	"os"
	"os/exec"
	"time"
)

// testCase is a fault, and the reads after it.
type testCase struct {
	name string
	do   func(w *fixture)
}

var cases = []testCase{
	{"nothing happens", damaged(func(string, int) {})},
	{"one byte flipped", damaged(flip)},
	{"a block of zeros", damaged(func(name string, at int) { write(name, make([]byte, 4096), at+objectSize/2) })},
	{"cut to half", damaged(func(name string, at int) { need(os.Truncate(name, int64(at+objectSize/2))) })},
	{"empty", damaged(func(name string, _ int) { need(os.Truncate(name, 0)) })},
	{"extended", damaged(func(name string, _ int) {
		info, err := os.Stat(name)
		need(err)
		write(name, []byte("and more"), int(info.Size()))
	})},
	{"the files of two objects swapped", swapped},
	{"a symlink to another file in its place", damaged(func(name string, _ int) {
		other := name + ".other"
		need(os.WriteFile(other, content(9), 0o600))
		need(os.Remove(name))
		need(os.Symlink(other, name))
	})},
	{"flipped while the process runs", warm},
	{"changed at the origin", func(w *fixture) {
		w.fill()
		w.old, _ = w.source.get("a")
		w.source.put("a", content(3))
		w.restarted()
	}},
	{"connection broke in the middle, read again", broken},
	{"killed in the middle of a download", killed},
	{"disk full", func(w *fixture) {
		defer w.mount(objectSize / 2)()
		w.restarted()
		w.restarted()
	}},
	{"disk full, and then room", func(w *fixture) {
		defer w.mount(objectSize / 2)()
		w.process()("a")
		w.remount(4 * objectSize)
		w.restarted()
	}},
	{"the directory is a file", func(w *fixture) {
		need(os.WriteFile(w.dir, nil, 0o600))
		w.restarted()
	}},
	{"the directory vanishes while the process runs", func(w *fixture) {
		read := w.process()
		read("b")
		need(os.RemoveAll(w.dir))
		w.look(read)
	}},
}

func flip(name string, at int) {
	b, err := os.ReadFile(name)
	need(err)
	write(name, []byte{b[at+objectSize/2] ^ 1}, at+objectSize/2)
}

// damaged changes the file with object a's bytes, from offset at on.
func damaged(change func(name string, at int)) func(*fixture) {
	return func(w *fixture) {
		w.fill()
		change(w.find("a"))
		w.restarted()
	}
}

// swapped exchanges the names of the files with the bytes of a and b.
func swapped(w *fixture) {
	w.fill()
	a, _ := w.find("a")
	b, _ := w.find("b")
	need(os.Rename(a, a+".swap"))
	need(os.Rename(b, a))
	need(os.Rename(a+".swap", b))
	w.restarted()
}

// warm flips a byte under a process that has read the object before.
func warm(w *fixture) {
	read := w.process()
	for range 2 {
		_, err := read("a")
		need(err)
	}
	flip(w.find("a"))
	w.look(read)
}

// broken reads the object while the connection breaks, and again on a good connection.
func broken(w *fixture) {
	read := w.process()
	w.source.half = func() error { return errBroken }
	if w.look(read); w.outcome != wrong {
		w.outcome, w.note = "", "" // an error is right
	}
	w.source.half = nil
	w.look(read)
	w.restarted()
}

const (
	childPeer = "WARMCACHE_FAULTS_PEER"
	childDir  = "WARMCACHE_FAULTS_DIR"
)

// serveIfChild makes this program download for ever.
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
		w := fixture{peer: p, dir: os.Getenv(childDir), source: s}
		_, err := w.process()("a")
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}

// killed ends a process by SIGKILL when half of the bytes have arrived.
func killed(w *fixture) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childPeer+"="+w.peer.name, childDir+"="+w.dir)
	out, err := cmd.StdoutPipe()
	need(err)
	need(cmd.Start())
	_, err = out.Read(make([]byte, 4))
	cmd.Process.Kill()
	cmd.Wait()
	need(err)
	w.restarted()
}
