// Package checktest supports the tests of the example checks. It draws scanned
// checks and runs a server with the HTTP API of CouchDB.
package checktest

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math/rand/v2"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// Check draws a check as a PNG. The same arguments give the same bytes.
func Check(account, amount string) []byte {
	img := image.NewGray(image.Rect(0, 0, 600, 250))
	draw.Draw(img, img.Bounds().Inset(5), image.White, image.Point{}, draw.Src) // leaves a frame
	write(img, 40, 55, "North and South Bank")
	write(img, 40, 115, "Pay to the order of the bearer")
	write(img, 40, 165, "Amount $ "+amount)
	write(img, 40, 220, "Account "+account)
	return encode(img)
}

// Noise draws an image without text, such as the scan of a crumpled check.
func Noise() []byte {
	img := image.NewGray(image.Rect(0, 0, 160, 60))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	return encode(img)
}

// newFace returns a font face that is large enough for an OCR program. A Face is
// not safe for concurrent use.
func newFace() font.Face {
	parsed, err := opentype.Parse(goregular.TTF)
	if err != nil {
		panic(err) // cannot happen: the font is part of the program
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: 30, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		panic(err)
	}
	return face
}

func write(img draw.Image, x, y int, text string) {
	d := font.Drawer{Dst: img, Src: image.NewUniform(color.Black), Face: newFace(), Dot: fixed.P(x, y)}
	d.DrawString(text)
}

func encode(img image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		panic(fmt.Errorf("checktest: %w", err)) // cannot happen: writes to a buffer succeed
	}
	return b.Bytes()
}
