package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// lookUpByProgram has another program look up the ids. It wants the name of a
// file, and gets that of the copy in /tmp itself: nothing is copied for it.
func lookUpByProgram(ctx context.Context, key string, ids []uint64) ([]Price, int64, error) {
	path := pathCached
	if plain() {
		path = pathPlain
	}
	name, release, err := path(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer release() // until then the file stays as it is
	info, err := os.Stat(name)
	if err != nil {
		return nil, 0, err
	}
	printed, err := runLookup(ctx, name, ids)
	if err != nil {
		return nil, 0, err
	}
	prices, err := parse(printed, ids)
	return prices, info.Size(), err
}

// pathCached verifies the whole copy first, once for each process: the other
// program has no checksums.
func pathCached(ctx context.Context, key string) (name string, release func(), err error) {
	models, err := bucket()
	if err != nil {
		return "", nil, err
	}
	return files.Path(ctx, object(models, key))
}

// pathPlain is what one writes first: a file of its own for each invocation.
func pathPlain(ctx context.Context, key string) (name string, release func(), err error) {
	b, err := fetch(ctx, key)
	if err != nil {
		return "", nil, err
	}
	f, err := os.CreateTemp("", "model-")
	if err != nil {
		return "", nil, err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", nil, err
	}
	return f.Name(), func() { os.Remove(f.Name()) }, nil
}

// runLookup ends the program when the invocation ends: it must not run on in the
// next one.
func runLookup(ctx context.Context, name string, ids []uint64) (string, error) {
	args := []string{name}
	for _, id := range ids {
		args = append(args, strconv.FormatUint(id, 10))
	}
	cmd := exec.CommandContext(ctx, lookupProgram(), args...)
	cmd.WaitDelay = time.Second // for what it has started itself
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("run %s: %w: %s", cmd.Path, err, bytes.TrimSpace(said.Bytes()))
	}
	return printed.String(), nil
}

// lookupProgram is beside this one, unless MODEL_LOOKUP says where. There is no
// PATH to look for it on OpenWhisk.
func lookupProgram() string {
	if path := os.Getenv("MODEL_LOOKUP"); path != "" {
		return path
	}
	self, err := os.Executable()
	if err != nil {
		return "lookup"
	}
	return filepath.Join(filepath.Dir(self), "lookup")
}

// parse reads a price or a dash for each id.
func parse(printed string, ids []uint64) ([]Price, error) {
	words := strings.Fields(printed)
	if len(words) != len(ids) {
		return nil, fmt.Errorf("lookup printed %d prices for %d ids", len(words), len(ids))
	}
	prices := make([]Price, len(ids))
	for i, word := range words {
		prices[i].ID = ids[i]
		if word == "-" {
			continue
		}
		cents, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("lookup printed no price: %w", err)
		}
		prices[i].Cents = &cents
	}
	return prices, nil
}
