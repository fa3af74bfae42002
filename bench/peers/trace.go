package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// trace is a sequence of keys that were asked for.
type trace struct {
	name string
	keys []int32
}

// The generated trace: Zipf's law over that many keys.
const (
	zipfExponent = 1.01
	zipfKeys     = 100_000
	zipfLength   = 1_000_000
	zipfSeed     = 1
)

// traces returns those of the command line, or a generated one.
func traces(s settings) ([]trace, error) {
	all := []trace{zipf()}
	if len(s.traces) > 0 {
		all = nil
	}
	for _, file := range s.traces {
		keys, err := readTraceFile(file)
		if err != nil {
			return nil, fmt.Errorf("-trace %s: %w", file, err)
		}
		all = append(all, trace{strings.TrimSuffix(filepath.Base(file), ".trace.xz"), keys})
	}
	if s.quick {
		for i := range all {
			all[i].keys = all[i].keys[:min(len(all[i].keys), 100_000)]
		}
	}
	return all, nil
}

func zipf() trace {
	z := rand.NewZipf(rand.New(rand.NewPCG(zipfSeed, zipfSeed)), zipfExponent, 1, zipfKeys-1)
	keys := make([]int32, zipfLength)
	for i := range keys {
		keys[i] = int32(z.Uint64())
	}
	return trace{fmt.Sprintf("zipf-%v", zipfExponent), keys}
}

func readTraceFile(file string) ([]int32, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.HasSuffix(file, ".xz") {
		return readTrace(f)
	}
	r, err := xz.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, err
	}
	return readTrace(r)
}

// readTrace reads big-endian int32 keys.
func readTrace(r io.Reader) (keys []int32, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	var word [4]byte
	for {
		_, err := io.ReadFull(b, word[:])
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		keys = append(keys, int32(binary.BigEndian.Uint32(word[:])))
	}
}
