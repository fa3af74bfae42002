package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// job is an example to build and pack.
type job struct {
	example string   // the name of its directory
	files   []string // to put beside the program
	arch    string
	image   string // the content of OpenWhisk's exec.env
	out     string
}

// hosts lists the hosts, each with the name that it expects of the program.
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
	// OpenWhisk's Go images reject an exec unless exec.env names the image.
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

// build makes a static program, so that it does not depend on the container's C
// library.
func (j job) build(program string) error {
	cmd := exec.Command("go", "build", "-o", program, "-trimpath", "-buildvcs=false", "-ldflags", "-s -w",
		"-tags", "lambda.norpc", // omit the RPC server of Lambda's old Go runtime
		"./"+filepath.ToSlash(j.example))
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+j.arch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", j.example, err, out)
	}
	return nil
}
