package world

import (
	"image"
	"image/color"
	"math"
)

// Detail measures how much there is in an image's background: the total variation of grey levels (0 … 1) in the left and right fifth of the
// image's upper two thirds, where figures seldom reach, per area, the image's width being the unit of length. A plain background has 0; an
// edge from black to white down one of the strips has 2.5 at any resolution. What only a larger image has room for adds to it, as noise does.
func Detail(img image.Image) float64 {
	b := img.Bounds()
	w, h := b.Dx(), b.Dy()
	if w < 2 || h < 2 {
		return 0
	}
	grey := func(x, y int) float64 {
		return float64(color.Gray16Model.Convert(img.At(b.Min.X+x, b.Min.Y+y)).(color.Gray16).Y) / 0xffff
	}
	strip, height := max(w/5, 2), max(2*h/3, 2)
	sum := 0.0
	for _, from := range []int{0, w - strip} {
		for y := range height {
			for x := from; x < from+strip; x++ {
				if x+1 < from+strip {
					sum += math.Abs(grey(x+1, y) - grey(x, y))
				}
				if y+1 < height {
					sum += math.Abs(grey(x, y+1) - grey(x, y))
				}
			}
		}
	}
	return sum * float64(w) / float64(2*strip*height)
}
