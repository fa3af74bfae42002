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

// lookUpByProgram runs another program to look up the ids. The program needs a file
// name, and gets the path of the copy in /tmp, so nothing is copied.
func lookUpByProgram(ctx context.Context, key string, ids []uint64) ([]Price, int64, error) {
	path := pathCached
	if plain() {
		path = pathPlain
	}
	name, release, err := path(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	defer release() // the file stays unchanged until then
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

// pathCached verifies the whole copy first, once in each process, because the other
// program does not check checksums.
func pathCached(ctx context.Context, key string) (name string, release func(), err error) {
	models, err := bucket()
	if err != nil {
		return "", nil, err
	}
	return files.Path(ctx, object(models, key))
}

// pathPlain writes a new file for each invocation, as a function without a cache
// does.
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

// runLookup kills the program when the invocation ends, so that it does not run on
// during the next one.
func runLookup(ctx context.Context, name string, ids []uint64) (string, error) {
	args := []string{name}
	for _, id := range ids {
		args = append(args, strconv.FormatUint(id, 10))
	}
	cmd := exec.CommandContext(ctx, lookupProgram(), args...)
	cmd.WaitDelay = time.Second // for processes that it has started
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

// lookupProgram returns MODEL_LOOKUP, or else the program beside this one. On
// OpenWhisk there is no PATH to search.
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

// parse parses a price or a dash for each id.
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
