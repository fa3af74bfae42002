package main

import (
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/draw"
)

// maxPixels is the largest image to decode: 24 megapixels. A pixel takes at most 20
// bytes of memory (a progressive JPEG in CMYK), so an image takes at most 480 MB. A
// file of a few kilobytes can claim a thousand times as many pixels.
const maxPixels = 24_000_000

// decode decodes a JPEG or PNG. It checks the dimensions first.
func decode(r io.ReadSeeker) (img image.Image, format string, err error) {
	config, _, err := image.DecodeConfig(r)
	if err != nil {
		return nil, "", err
	}
	if w, h := int64(config.Width), int64(config.Height); w < 1 || h < 1 || h > maxPixels/w {
		return nil, "", fmt.Errorf("the image has %d x %d pixels: it must have 1 to %d", w, h, maxPixels)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	return image.Decode(r)
}

// fit returns the size of the thumbnail: the longer side is at most size. It keeps
// the aspect ratio and never enlarges.
func fit(of image.Rectangle, size int) image.Rectangle {
	w, h := of.Dx(), of.Dy()
	longer := max(w, h)
	if longer <= size {
		return image.Rect(0, 0, w, h)
	}
	scaled := func(side int) int { return max(1, (side*size+longer/2)/longer) }
	return image.Rect(0, 0, scaled(w), scaled(h))
}

// shrink returns a copy that fits into size.
func shrink(img image.Image, size int) image.Image {
	small := image.NewNRGBA(fit(img.Bounds(), size))
	draw.CatmullRom.Scale(small, small.Bounds(), img, img.Bounds(), draw.Src, nil)
	return small
}

// save writes the image to a new file.
func save(path, format string, img image.Image) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if format == "png" {
		err = png.Encode(f, img)
	} else {
		err = jpeg.Encode(f, img, &jpeg.Options{Quality: 85})
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}
