package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// In is the event.
type In struct {
	Tenant string `json:"tenant"`
	Name   string `json:"name"` // of the image, such as "2026/cat.jpg"
	Size   int    `json:"size"` // of the longer side, in pixels
}

// Out is the answer.
type Out struct {
	Key    string `json:"key"` // of the thumbnail, in the same bucket
	Width  int    `json:"width"`
	Height int    `json:"height"`
	Bytes  int64  `json:"bytes"`
}

// source is the S3 key of the image. A tenant has no slash, so no two share one.
func (in In) source() string { return path.Join("images", in.Tenant, in.Name) }

// thumbnail is the S3 key of the result. It contains the size, so that sizes do not
// overwrite each other. It is outside the prefix of the sources: a function that S3
// calls for each new image must not call itself.
func (in In) thumbnail() string {
	return path.Join("thumbnails", strconv.Itoa(in.Size), in.Tenant, in.Name)
}

// handle answers one event. It does not depend on the host.
func handle(ctx context.Context, in In) (Out, error) {
	if err := in.validate(); err != nil {
		return Out{}, fmt.Errorf("thumbnail: %w", err)
	}
	out, err := chosenDisk().make(ctx, in)
	if err != nil {
		return Out{}, fmt.Errorf("thumbnail of %s: %w", in.source(), err)
	}
	return out, nil
}

func (d disk) make(ctx context.Context, in In) (Out, error) {
	b, err := bucket()
	if err != nil {
		return Out{}, err
	}
	img, err := d.open(ctx, in.source())
	if err != nil {
		return Out{}, err
	}
	defer img.Close()

	// Each invocation has its own directory. With a fixed name in /tmp, concurrent
	// invocations would overwrite each other's file, and one that fails would
	// upload the previous result.
	dir, remove, err := d.scratch()
	if err != nil {
		return Out{}, err
	}
	defer remove() // a later scratch removes leftovers
	file := filepath.Join(dir, "thumbnail")

	large, format, err := decode(img)
	if err != nil {
		return Out{}, err
	}
	small := shrink(large, in.Size)
	if err := save(file, format, small); err != nil {
		return Out{}, err
	}
	out := Out{Key: in.thumbnail(), Width: small.Bounds().Dx(), Height: small.Bounds().Dy()}
	out.Bytes, err = b.upload(ctx, out.Key, "image/"+format, file)
	return out, err
}

// Limits of an event.
const (
	maxName = 200
	maxSide = 1024
)

func (in In) validate() error {
	switch {
	case !fs.ValidPath(in.Tenant) || in.Tenant == "." || strings.Contains(in.Tenant, "/"):
		return errors.New("the event needs a tenant: it must not be empty, \".\" or \"..\", or contain a slash")
	case !fs.ValidPath(in.Name) || in.Name == ".":
		return fmt.Errorf("name is %.50q: it must be a path without empty and dot elements", in.Name)
	case max(len(in.Tenant), len(in.Name)) > maxName:
		return fmt.Errorf("the tenant or name is longer than %d bytes", maxName)
	case in.Size < 1 || in.Size > maxSide:
		return fmt.Errorf("size is %d: it must be 1 to %d", in.Size, maxSide)
	}
	return nil
}
