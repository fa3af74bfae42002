package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// recognize returns the text of the image. Tesseract prints the text instead of
// writing a file, so that no result of an earlier check can be read.
func (s *settings) recognize(ctx context.Context, img image.Image, dir string) (string, error) {
	name := filepath.Join(dir, "check.png")
	if err := writePNG(name, img); err != nil {
		return "", err
	}
	data, release, err := s.trainedData(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("trained data: %w", err)
	}
	defer release()
	return s.run(ctx, name, "stdout", "--tessdata-dir", data, "-l", s.language, "--psm", "6", "--dpi", "200")
}

// trainedData returns a directory with the trained data under the name that
// tesseract expects. The file has another name in the cache, so a symbolic link
// gives it the right one without a copy.
func (s *settings) trainedData(ctx context.Context, dir string) (data string, release func(), err error) {
	data = filepath.Join(dir, "tessdata")
	if err := os.Mkdir(data, 0o700); err != nil {
		return "", nil, err
	}
	name := filepath.Join(data, s.language+".traineddata")
	if plain() {
		b, err := s.download(ctx, s.tessdata.Name, s.dataKey)
		if err != nil {
			return "", nil, err
		}
		return data, func() {}, os.WriteFile(name, b, 0o600)
	}
	path, release, err := files.Path(ctx, s.tessdata.Object(s.dataKey))
	if err != nil {
		return "", nil, err
	}
	if err := os.Symlink(path, name); err != nil {
		release()
		return "", nil, err
	}
	return data, release, nil
}

// run kills the program when the invocation ends, so that it does not run on during
// the next one. If the program fails, run returns an error, not a rejection.
func (s *settings) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.tesseract, args...)
	cmd.Env = append(os.Environ(), "OMP_THREAD_LIMIT=1") // a function has only a share of a processor
	cmd.WaitDelay = time.Second
	var printed, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &printed, &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return "", fmt.Errorf("run %s: %w: %s", s.tesseract, err, strings.TrimSpace(said.String()))
	}
	return printed.String(), nil
}

func writePNG(name string, img image.Image) error {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
