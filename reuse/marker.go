package reuse

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// containers records the start kinds that this process has determined. Without it, a
// second Recorder would mistake the first one's marker for a marker of an earlier process.
var containers struct {
	mu    sync.Mutex
	found map[string]Start // by marker file
}

// containerStart returns how this process was started, and leaves the marker
// for its successors.
func containerStart() Start {
	name := markerFile()
	containers.mu.Lock()
	defer containers.mu.Unlock()
	if s, ok := containers.found[name]; ok {
		return s
	}
	if containers.found == nil {
		containers.found = map[string]Start{}
	}
	s := mark(name)
	containers.found[name] = s
	return s
}

// markerFile names the marker: private to the user, and to the function and
// version where the host tells them.
func markerFile() string {
	name := "warmcache.reuse.v1." + fmt.Sprint(os.Geteuid())
	for _, v := range []string{"AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_VERSION", "__OW_ACTION_NAME", "__OW_ACTION_VERSION"} {
		if s := os.Getenv(v); s != "" {
			name += "." + fileName(s)
		}
	}
	return filepath.Join(os.TempDir(), name)
}

// fileName makes a short plain file name of s.
func fileName(s string) string {
	b := []byte(s)
	for i, c := range b {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 64)])
}

// markerText is for people. It is never read: a process may have been killed before it
// was written.
const markerText = "github.com/warmcache/warmcache/reuse: a process has run in this container\n"

// mark creates the marker. O_EXCL follows no symbolic link, and mark never opens an
// existing file: it may belong to another user, or be a pipe.
func mark(name string) Start {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		_, _ = f.WriteString(markerText)
		_ = f.Close()
		return Cold
	case errors.Is(err, fs.ErrExist) && isMarker(name):
		return Restarted
	}
	return Unknown
}

// isMarker reports whether the file can have been left by mark.
func isMarker(name string) bool {
	fi, err := os.Lstat(name)
	return err == nil && fi.Mode().IsRegular() && ours(fi)
}
