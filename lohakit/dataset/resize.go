package dataset

import (
	"image"
	"image/color"
	"math"
)

// pixels is an image as interleaved 8-bit samples, the working form between decoding and the tensor: 3 colour channels and alpha.
type pixels struct {
	size Size
	data []uint8 // [H, W, 4], colour not multiplied by alpha
}

// toPixels copies an image; colours keep their values where alpha is below 255, as dropping the alpha channel does.
func toPixels(img image.Image) pixels {
	b := img.Bounds()
	p := pixels{Size{b.Dx(), b.Dy()}, make([]uint8, 4*b.Dx()*b.Dy())}
	if n, ok := img.(*image.NRGBA); ok {
		for y := range p.size.H {
			copy(p.data[4*y*p.size.W:], n.Pix[y*n.Stride:y*n.Stride+4*p.size.W])
		}
		return p
	}
	i := 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			p.data[i], p.data[i+1], p.data[i+2], p.data[i+3] = c.R, c.G, c.B, c.A
			i += 4
		}
	}
	return p
}

// taps are the weighted source positions that make one output position.
type taps struct {
	first   int
	weights []float64
}

// resize scales to a size by one of Interpolations. Where kohya's trainer uses PIL, and in area averaging, there are two passes that round to 8
// bits; its other methods are OpenCV's, which looks at the nearest pixels only, however much it shrinks.
func (p pixels) resize(to Size, method string) pixels {
	if to == p.size {
		return p
	}
	shrinks := to.W <= p.size.W && to.H <= p.size.H
	switch {
	case method == "" && shrinks, method == "area" && shrinks:
		return p.passes(to, area)
	case method == "" || method == "lanczos":
		return p.passes(to, lanczos)
	case method == "box":
		return p.passes(to, box)
	}
	return p.gathered(to, nearby[method])
}

// passes scales rows, then columns.
func (p pixels) passes(to Size, filter func(from, to int) []taps) pixels {
	wide := pixels{Size{to.W, p.size.H}, make([]uint8, 4*to.W*p.size.H)}
	for x, t := range filter(p.size.W, to.W) {
		for y := range p.size.H {
			mix(wide.data[4*(y*to.W+x):], p.data[4*(y*p.size.W+t.first):], 4, t.weights)
		}
	}
	out := pixels{to, make([]uint8, 4*to.W*to.H)}
	for y, t := range filter(p.size.H, to.H) {
		for x := range to.W {
			mix(out.data[4*(y*to.W+x):], wide.data[4*(t.first*to.W+x):], 4*to.W, t.weights)
		}
	}
	return out
}

// gathered scales both axes at once, rounding at the end.
func (p pixels) gathered(to Size, filter func(from, to int) []taps) pixels {
	out := pixels{to, make([]uint8, 4*to.W*to.H)}
	columns := filter(p.size.W, to.W)
	for y, row := range filter(p.size.H, to.H) {
		for x, column := range columns {
			sums := [4]float64{0.5, 0.5, 0.5, 0.5}
			for i, wy := range row.weights {
				for j, wx := range column.weights {
					for c := range sums {
						sums[c] += wy * wx * float64(p.data[4*((row.first+i)*p.size.W+column.first+j)+c])
					}
				}
			}
			for c, sum := range sums {
				out.data[4*(y*to.W+x)+c] = uint8(min(max(sum, 0), 255))
			}
		}
	}
	return out
}

// mix writes one output pixel: the weighted sum of the pixels at from, from+stride, ….
func mix(to, from []uint8, stride int, weights []float64) {
	for c := range 4 {
		sum := 0.5
		for k, w := range weights {
			sum += w * float64(from[k*stride+c])
		}
		to[c] = uint8(min(max(sum, 0), 255))
	}
}

// area weighs every source pixel by how much of the output pixel it covers.
func area(from, to int) []taps {
	scale := float64(from) / float64(to)
	all := make([]taps, to)
	for i := range all {
		lo, hi := float64(i)*scale, min(float64(i+1)*scale, float64(from))
		t := taps{first: int(lo)}
		for x := t.first; x < from && float64(x) < hi-1e-9; x++ {
			t.weights = append(t.weights, (min(hi, float64(x+1))-max(lo, float64(x)))/(hi-lo))
		}
		all[i] = t
	}
	return all
}

// lanczos weighs with sinc(x)·sinc(x/3).
func lanczos(from, to int) []taps {
	return spread(from, to, 3, func(x float64) float64 {
		if math.Abs(x) >= 3 {
			return 0
		}
		return sinc(x) * sinc(x/3)
	})
}

// box weighs alike whatever is centred within half a pixel.
func box(from, to int) []taps {
	return spread(from, to, 0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	})
}

// spread weighs with a function that reaches so far; shrinking widens it. Weights are normalised, at the borders too.
func spread(from, to int, reach float64, weight func(x float64) float64) []taps {
	scale := float64(from) / float64(to)
	wide := max(scale, 1)
	all := make([]taps, to)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first := max(0, int(centre-reach*wide+0.5))
		last := min(from, int(centre+reach*wide+0.5))
		t := taps{first: first, weights: make([]float64, last-first)}
		sum := 0.0
		for k := range t.weights {
			t.weights[k] = weight((float64(first+k) - centre + 0.5) / wide)
			sum += t.weights[k]
		}
		for k := range t.weights {
			t.weights[k] /= sum
		}
		all[i] = t
	}
	return all
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

// crop cuts a bucket out at an offset.
func (p pixels) crop(x, y int, to Size) pixels {
	out := pixels{to, make([]uint8, 4*to.W*to.H)}
	for row := range to.H {
		from := 4 * ((y+row)*p.size.W + x)
		copy(out.data[4*row*to.W:4*(row+1)*to.W], p.data[from:])
	}
	return out
}

// flip mirrors left to right.
func (p pixels) flip() pixels {
	out := pixels{p.size, make([]uint8, len(p.data))}
	for y := range p.size.H {
		for x := range p.size.W {
			copy(out.data[4*(y*p.size.W+x):][:4], p.data[4*(y*p.size.W+p.size.W-1-x):])
		}
	}
	return out
}
