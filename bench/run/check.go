package run

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
)

// check says what is wrong with a program before it fails to start: the system's
// own word for most of it is "exec format error".
func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("run: there is no %s: build it first, for example with 'go build -o %s .'", path, path)
	case err != nil:
		return fmt.Errorf("run: %w", err)
	case info.IsDir():
		return fmt.Errorf("run: %s is a directory: name the program in it", path)
	case runtime.GOOS != "windows" && info.Mode()&0o111 == 0 && !isZip(path):
		return fmt.Errorf("run: %s is not executable: chmod +x %s", path, path)
	}
	if isZip(path) {
		return fmt.Errorf("run: %s is a zip: unpack it, and name the program in it", path)
	}
	if target, known := builtFor(path); known && target != runtime.GOOS+"/"+runtime.GOARCH {
		return fmt.Errorf("run: %s is built for %s, and this machine is %s/%s: build it with GOOS=%s GOARCH=%s",
			path, target, runtime.GOOS, runtime.GOARCH, runtime.GOOS, runtime.GOARCH)
	}
	return nil
}

func isZip(path string) bool { return bytes.Equal(head(path), []byte("PK\x03\x04")) }

func head(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 4)
	n, _ := io.ReadFull(f, b)
	return b[:n]
}

// builtFor returns the system and the processor that a program is for, as Go calls
// them. It knows nothing of scripts, and not of every processor.
func builtFor(path string) (target string, known bool) {
	var system, processor string
	if f, err := elf.Open(path); err == nil {
		f.Close()
		system = "linux"
		processor = map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm"}[f.Machine]
		if runtime.GOOS != "windows" && runtime.GOOS != "darwin" {
			system = runtime.GOOS // an ELF file does not always say which
		}
	} else if f, err := macho.Open(path); err == nil {
		f.Close()
		system = "darwin"
		processor = map[macho.Cpu]string{macho.CpuAmd64: "amd64", macho.CpuArm64: "arm64"}[f.Cpu]
	} else if f, err := pe.Open(path); err == nil {
		f.Close()
		system = "windows"
		processor = map[uint16]string{pe.IMAGE_FILE_MACHINE_AMD64: "amd64", pe.IMAGE_FILE_MACHINE_ARM64: "arm64"}[f.Machine]
	}
	return system + "/" + processor, processor != ""
}
