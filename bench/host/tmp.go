package host

import "os"

// makeTmp makes the directory that is /tmp to a function.
func makeTmp() (string, error) {
	return os.MkdirTemp("", "warmcache-host-")
}

func removeTmp(dir string) error {
	return os.RemoveAll(dir)
}
