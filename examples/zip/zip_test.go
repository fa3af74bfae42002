package main

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// inExamples changes to the directory in which the command runs.
func inExamples(t *testing.T) { t.Chdir("..") }

func hello(t *testing.T, arch string) job {
	t.Helper()
	inExamples(t)
	data := filepath.Join(t.TempDir(), "data.db")
	if err := os.WriteFile(data, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(t.TempDir(), "tool")
	if err := os.WriteFile(tool, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	return job{example: "zip/testdata/hello", files: []string{data, tool}, arch: arch, image: "openwhisk/action-golang-v1.23", out: filepath.Join(t.TempDir(), "bin")}
}

func mustRun(t *testing.T, j job) []string {
	t.Helper()
	zips, err := j.run()
	if err != nil {
		t.Fatal(err)
	}
	return zips
}

func TestZips(t *testing.T) {
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			j := hello(t, arch)
			zips := mustRun(t, j)
			for i, program := range []string{"bootstrap", "exec"} {
				host := []string{"lambda", "openwhisk"}[i]
				if want := filepath.Join(j.out, "hello-"+host+".zip"); zips[i] != want {
					t.Errorf("%s, want %s", zips[i], want)
				}
				files := unzip(t, zips[i])
				checkProgram(t, files[program], machine)
				if d := files["data.db"]; d.mode != 0o644 || string(d.bytes) != "data" || files["tool"].mode != 0o755 || len(files) != 3+i {
					t.Errorf("data.db: %v, %q; %d files", d.mode, d.bytes, len(files))
				}
				// OpenWhisk's proxy compares the whole file with its
				// OW_EXECUTION_ENV.
				if got := string(files["exec.env"].bytes); host == "openwhisk" && got != j.image || host == "lambda" && got != "" {
					t.Errorf("exec.env of %s: %q", host, got)
				}
			}
		})
	}
}

type file struct {
	mode  fs.FileMode
	bytes []byte
}

func unzip(t *testing.T, path string) map[string]file {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]file{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = file{f.Mode(), b}
	}
	return files
}

// checkProgram checks that the file is an executable, static Linux program.
func checkProgram(t *testing.T, f file, machine elf.Machine) {
	t.Helper()
	if f.mode != 0o755 {
		t.Errorf("mode %v", f.mode)
	}
	e, err := elf.NewFile(bytes.NewReader(f.bytes))
	if err != nil {
		t.Fatal(err)
	}
	if e.Machine != machine {
		t.Errorf("for %v, want %v", e.Machine, machine)
	}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("not static")
		}
	}
}

func TestSameContentsSameZip(t *testing.T) {
	j := hello(t, "amd64")
	var first [][]byte
	for _, z := range mustRun(t, j) {
		first = append(first, read(t, z))
	}
	if err := os.Chtimes(j.files[0], time.Time{}, time.Unix(1e9, 0)); err != nil {
		t.Fatal(err)
	}
	for i, z := range mustRun(t, j) {
		if !bytes.Equal(read(t, z), first[i]) {
			t.Errorf("%s differs from the first", z)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A failed build or pack leaves no zip behind.
func TestErrors(t *testing.T) {
	for name, spoil := range map[string]func(*job){
		"build no-such-example":   func(j *job) { j.example = "no-such-example" },
		"no-such-file":            func(j *job) { j.files = []string{"no-such-file"} },
		"unsupported GOOS/GOARCH": func(j *job) { j.arch = "z80" },
	} {
		t.Run(name, func(t *testing.T) {
			j := hello(t, "amd64")
			spoil(&j)
			if _, err := j.run(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("error = %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(j.out, "*")); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
