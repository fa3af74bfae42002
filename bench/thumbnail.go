package main

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
)

const imageBucket = "images"

func thumbnailEnv(o *origins) []string { return append(o.s3Env(), "THUMBNAIL_BUCKET="+imageBucket) }
func thumbnailEvent(int) string        { return `{"tenant":"` + guest + `","name":"hills.jpg","size":200}` }

func putImages(ctx context.Context, _ example, o *origins) error {
	picture, err := hills(800, 600)
	if err != nil {
		return err
	}
	if err := o.s3.CreateBucket(ctx, imageBucket); err != nil {
		return err
	}
	return o.s3.Put(ctx, imageBucket, "images/"+guest+"/hills.jpg", picture)
}

// hills is a picture that a JPEG does not shrink to nothing.
func hills(width, height int) ([]byte, error) {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, color.RGBA{uint8(x * y / 1000), uint8(x*x/3000 + y), uint8(x ^ y), 255})
		}
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, m, nil)
	return b.Bytes(), err
}
