package world

import (
	"image"
	"math"
	"math/rand/v2"
)

// finish turns the drawing into the style's picture: colours first, then what lies over them.
func finish(img *image.RGBA, l look, rng *rand.Rand) {
	if l.texture == soft {
		glow(img, l.strength)
	}
	n := img.Rect.Dx()
	over := overlay(l, n, rng)
	wr, wg, wb := float64(l.wash.R), float64(l.wash.G), float64(l.wash.B)
	keep := (1 - l.washed) * l.gain
	for y := range n {
		row := img.Pix[y*img.Stride : y*img.Stride+4*n]
		for x := range n {
			q := row[4*x : 4*x+3]
			r, g, b := float64(q[0]), float64(q[1]), float64(q[2])
			grey := 0.3*r + 0.59*g + 0.11*b
			r, g, b = grey+(r-grey)*l.saturation, grey+(g-grey)*l.saturation, grey+(b-grey)*l.saturation
			r, g, b = r*keep+wr*l.washed, g*keep+wg*l.washed, b*keep+wb*l.washed
			if over != nil {
				mul, add := over(x, y, grey)
				r, g, b = r*mul+add, g*mul+add, b*mul+add
			}
			q[0], q[1], q[2] = clamp(r), clamp(g), clamp(b)
		}
	}
}

func clamp(v float64) uint8 { return uint8(math.Min(math.Max(v+0.5, 0), 255)) }

// overlay returns the texture as a factor and a summand for the pixel at x, y whose drawn brightness is grey (0 … 255); nil is no texture.
func overlay(l look, n int, rng *rand.Rand) func(x, y int, grey float64) (mul, add float64) {
	size, k := float64(n), l.strength
	switch l.texture {
	case dots:
		pitch := 0.0625 * size
		return func(x, y int, grey float64) (float64, float64) {
			u, v := (float64(x)+float64(y))/pitch/math.Sqrt2, (float64(x)-float64(y))/pitch/math.Sqrt2
			d := math.Hypot(u-math.Round(u), v-math.Round(v)) * pitch
			r := (0.2 + 0.25*(1-grey/255)) * pitch
			return 1 - k*math.Min(math.Max(r-d+0.5, 0), 1), 0
		}
	case paper:
		clouds := noise(rng, 5)
		return func(x, y int, _ float64) (float64, float64) {
			c := k * math.Max(0, clouds(float64(x)/size, float64(y)/size))
			return 1 - c, c * 255
		}
	case hatching:
		pitch := 0.0625 * size
		return func(x, y int, grey float64) (float64, float64) {
			t := (float64(x)*0.8 + float64(y)) / pitch
			t -= math.Floor(t)
			w := math.Sin(math.Pi * t)
			return 1 - k*w*w*(1.3-grey/255), 0
		}
	case lens:
		return func(x, y int, _ float64) (float64, float64) {
			u, v := float64(x)/size-0.42, float64(y)/size-0.35
			return 1.08 - k*1.2*(u*u+v*v), 3 * (rng.Float64() - 0.5)
		}
	}
	return nil
}

// noise returns a smooth random function on the unit square, between −1 and 1, that varies over 1/cells.
func noise(rng *rand.Rand, cells int) func(x, y float64) float64 {
	w := cells + 2
	grid := make([]float64, w*w)
	for i := range grid {
		grid[i] = 2*rng.Float64() - 1
	}
	ease := func(t float64) float64 { return t * t * (3 - 2*t) }
	return func(x, y float64) float64 {
		x, y = x*float64(cells), y*float64(cells)
		i, j := int(x), int(y)
		u, v := ease(x-float64(i)), ease(y-float64(j))
		q := grid[j*w+i:]
		return (q[0]*(1-u)+q[1]*u)*(1-v) + (q[w]*(1-u)+q[w+1]*u)*v
	}
}

// blur averages over a square of the given radius in pixels, twice, which is close to a Gaussian.
func blur(img *image.RGBA, radius float64) {
	r := int(radius + 0.5)
	if r < 1 {
		return
	}
	n := img.Rect.Dx()
	line := make([]float64, n+1)
	run := func(base, step int) {
		for c := range 3 {
			for i := range n {
				line[i+1] = line[i] + float64(img.Pix[base+i*step+c])
			}
			for i := range n {
				lo, hi := max(0, i-r), min(n, i+r+1)
				img.Pix[base+i*step+c] = uint8((line[hi]-line[lo])/float64(hi-lo) + 0.5)
			}
		}
	}
	for range 2 {
		for i := range n {
			run(i*img.Stride, 4)
		}
		for i := range n {
			run(4*i, img.Stride)
		}
	}
}

// glow lays a blurred, lightened copy over the picture.
func glow(img *image.RGBA, strength float64) {
	copied := *img
	copied.Pix = append([]uint8(nil), img.Pix...)
	blur(&copied, 0.02*float64(img.Rect.Dx()))
	for i, v := range copied.Pix {
		img.Pix[i] = uint8(float64(img.Pix[i])*(1-strength) + math.Min(255, float64(v)*1.05)*strength + 0.5)
	}
}
