package main

import (
	"bytes"
	"context"
	"fmt"
	"image"
	_ "image/jpeg" // registers the format
	"image/png"

	"golang.org/x/image/draw"
)

// maxPixels is the size of a check at 600 dots per inch. It bounds the memory for
// decoding a small file.
const maxPixels = 5000 * 3000

// decode reads a PNG or a JPEG.
func decode(scan []byte) (image.Image, error) {
	header, _, err := image.DecodeConfig(bytes.NewReader(scan))
	if err != nil || header.Width < 1 || header.Height < 1 {
		return nil, rejection("the scan is no image")
	}
	if header.Width*header.Height > maxPixels {
		return nil, rejection("the image is too large")
	}
	img, _, err := image.Decode(bytes.NewReader(scan))
	if err != nil {
		return nil, rejection("the image is damaged")
	}
	return img, nil
}

// widths are the widths of the smaller copies, in pixels.
var widths = []int{300, 150}

// uploadCopies uploads to a separate bucket: in the bucket of the scans, the copies
// would cause new events.
func (s *settings) uploadCopies(ctx context.Context, img image.Image, bucket, key string) (keys []string, err error) {
	for _, width := range widths {
		var b bytes.Buffer
		if err := png.Encode(&b, resize(img, width)); err != nil {
			return nil, err
		}
		to := fmt.Sprintf("%s/%d/%s.png", bucket, width, key)
		if err := s.upload(ctx, to, b.Bytes()); err != nil {
			return nil, err
		}
		keys = append(keys, to)
	}
	return keys, nil
}

func resize(img image.Image, width int) image.Image {
	from := img.Bounds()
	height := max(from.Dy()*width/from.Dx(), 1)
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.CatmullRom.Scale(small, small.Bounds(), img, from, draw.Src, nil)
	return small
}
