package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// job is one example to build and pack.
type job struct {
	example string   // the name of its folder
	files   []string // to put beside the program
	arch    string
	image   string // the text of OpenWhisk's exec.env
	out     string
}

// hosts are what the program is called on each of them.
var hosts = []struct{ name, program string }{
	{"lambda", "bootstrap"},
	{"openwhisk", "exec"},
}

// run returns the names of the zips.
func (j job) run() (zips []string, err error) {
	dir, err := os.MkdirTemp("", "zip")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "program")
	if err := j.build(program); err != nil {
		return nil, err
	}
	// OpenWhisk's Go images refuse an exec without an exec.env that names them.
	execEnv := filepath.Join(dir, "exec.env")
	if err := os.WriteFile(execEnv, []byte(j.image), 0o644); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.out, 0o777); err != nil {
		return nil, err
	}
	for _, h := range hosts {
		z := filepath.Join(j.out, filepath.Base(j.example)+"-"+h.name+".zip")
		files := j.files
		if h.name == "openwhisk" {
			files = append([]string{execEnv}, files...)
		}
		if err := pack(z, h.program, program, files); err != nil {
			return nil, fmt.Errorf("%s: %w", z, err)
		}
		zips = append(zips, z)
	}
	return zips, nil
}

// build makes a static program: what C library a container has does not matter.
func (j job) build(program string) error {
	cmd := exec.Command("go", "build", "-o", program, "-trimpath", "-ldflags", "-s -w",
		"-tags", "lambda.norpc", // without what only Lambda's old Go runtime needs
		"./"+filepath.ToSlash(j.example))
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+j.arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", j.example, err, out)
	}
	return nil
}
