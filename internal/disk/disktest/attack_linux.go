// Package disktest attacks a private directory as another user could, for tests.
package disktest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/warmcache/warmcache/internal/childtest"
)

// These environment variables turn a test binary into the attacker.
const (
	attackDir  = "WARMCACHE_TEST_ATTACK_DIR"
	attackName = "WARMCACHE_TEST_ATTACK_NAME"
)

func init() { // before TestMain, which checks for leaks
	if dir := os.Getenv(attackDir); dir != "" {
		attack(dir, os.Getenv(attackName))
		os.Exit(0)
	}
}

// attack exchanges name with each other file in dir, in turn, until it is killed.
func attack(dir, name string) {
	for {
		others, _ := os.ReadDir(dir)
		for _, other := range others {
			if other.Name() != name {
				unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, name), unix.AT_FDCWD, filepath.Join(dir, other.Name()), unix.RENAME_EXCHANGE)
			}
		}
	}
}

// attacker is the attacker's user ID.
const attacker = 12345

// A Scene has a world-writable directory, like /tmp on some systems, and a home that only
// its owner can write to.
type Scene struct {
	Dir  string // for the private directory
	Home string

	paths  []string // all files in Home
	before map[string]string
	began  time.Time
}

// NewScene makes a Scene. Until the test ends, an attacker exchanges the private
// directory called name with directories and links of his own. The home has the given
// subdirectories, with the given old files in each. It skips the test unless it runs as
// root.
func NewScene(t *testing.T, name string, subdirs, files []string) *Scene {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be attacked by another user")
	}
	base, err := os.MkdirTemp("", "warmcache-attack-") // t.TempDir is not accessible to other users
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	s := &Scene{Dir: filepath.Join(base, "tmp"), Home: filepath.Join(base, "home")}
	check(t, os.Chmod(base, 0o755))
	check(t, os.Mkdir(s.Dir, 0o777))
	check(t, os.Chmod(s.Dir, 0o777))
	s.fillHome(t, subdirs, files)
	s.lay(t, name, subdirs, files)
	s.before = s.snapshot(t)
	s.start(t, base, name)
	s.began = time.Now()
	return s
}

// Over reports whether the attack has lasted long enough: for 2 seconds, or a minute if
// WARMCACHE_TEST_ALL is set, and then until seenAll, for at most two more minutes. On a
// busy machine 2 seconds can be too short for both a refused directory and a used one.
func (s *Scene) Over(seenAll bool) bool {
	least := 2 * time.Second
	if os.Getenv("WARMCACHE_TEST_ALL") != "" {
		least = time.Minute
	}
	lasted := time.Since(s.began)
	return lasted > least && seenAll || lasted > least+2*time.Minute
}

// fillHome makes files that an attacker may want to have listed, read or removed.
func (s *Scene) fillHome(t *testing.T, subdirs, files []string) {
	check(t, os.Mkdir(s.Home, 0o700))
	for _, sub := range append(subdirs, "other") {
		dir := filepath.Join(s.Home, sub)
		check(t, os.Mkdir(dir, 0o700))
		for _, f := range files {
			p := filepath.Join(dir, f)
			check(t, os.WriteFile(p, []byte("precious"), 0o600))
			s.paths = append(s.paths, p)
		}
		s.paths = append(s.paths, dir)
	}
	s.paths = append(s.paths, s.Home)
	// Any read or listing updates the access time.
	old := time.Now().Add(-48 * time.Hour)
	for _, p := range s.paths {
		check(t, os.Chtimes(p, old.Add(-time.Hour), old))
	}
}

// lay makes the attacker's directories and links.
func (s *Scene) lay(t *testing.T, name string, subdirs, files []string) {
	own := func(path string) { check(t, os.Lchown(path, attacker, attacker)) }
	// One belongs to the library's user, so the library uses it now and then.
	check(t, os.Mkdir(filepath.Join(s.Dir, "private"), 0o700))
	link := filepath.Join(s.Dir, "link")
	check(t, os.Symlink(s.Home, link))
	own(link)
	for i, mode := range []fs.FileMode{0o700, 0o777} {
		evil := filepath.Join(s.Dir, fmt.Sprint("evil", i))
		if i == 0 { // exists before the library starts
			evil = filepath.Join(s.Dir, name)
		}
		check(t, os.Mkdir(evil, mode))
		check(t, os.Chmod(evil, mode))
		own(evil)
		for _, sub := range subdirs {
			p := filepath.Join(evil, sub)
			check(t, os.Symlink(filepath.Join(s.Home, sub), p))
			own(p)
		}
		for _, f := range files {
			check(t, os.WriteFile(filepath.Join(evil, f), []byte("evil"), 0o666))
			own(filepath.Join(evil, f))
		}
	}
}

// snapshot describes the files in the home without listing it.
func (s *Scene) snapshot(t *testing.T) map[string]string {
	seen := map[string]string{}
	for _, p := range s.paths {
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			seen[p] = err.Error()
			continue
		}
		seen[p] = fmt.Sprint(st.Ino, st.Mode, st.Uid, st.Size, st.Mtim, st.Ctim, st.Atim)
	}
	return seen
}

// start starts the attacker.
func (s *Scene) start(t *testing.T, base, name string) {
	exe := filepath.Join(base, "attacker")
	self, err := os.Executable()
	check(t, err)
	b, err := os.ReadFile(self)
	check(t, err)
	check(t, os.WriteFile(exe, b, 0o755))
	cmd := childtest.Command()
	for i, arg := range cmd.Args { // works under an emulator too
		if arg == self {
			cmd.Args[i] = exe
		}
	}
	if cmd.Path == self {
		cmd.Path = exe
	}
	cmd.Env = []string{attackDir + "=" + s.Dir, attackName + "=" + name}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: attacker, Gid: attacker}, Pdeathsig: syscall.SIGKILL,
	}
	check(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
}

// WantUntouched fails the test if a file in the home was read, changed or removed.
func (s *Scene) WantUntouched(t *testing.T) {
	t.Helper()
	for p, after := range s.snapshot(t) {
		if before := s.before[p]; after != before {
			t.Errorf("%s was touched: %s, was %s", p, after, before)
		}
	}
	check(t, filepath.WalkDir(s.Home, func(p string, _ fs.DirEntry, err error) error {
		if err == nil && s.before[p] == "" {
			t.Errorf("%s was created", p)
		}
		return err
	}))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
