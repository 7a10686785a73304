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

// resize scales to a size: by area averaging when both sides shrink, else with a Lanczos filter of three lobes, which is what the
// trainers do. Each of the two passes rounds to 8 bits.
func (p pixels) resize(to Size) pixels {
	if to == p.size {
		return p
	}
	filter := lanczos
	if to.W <= p.size.W && to.H <= p.size.H {
		filter = area
	}
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

// lanczos weighs with sinc(x)·sinc(x/3); shrinking widens the filter. Weights are normalised at the borders.
func lanczos(from, to int) []taps {
	const lobes = 3
	scale := float64(from) / float64(to)
	wide := max(scale, 1)
	all := make([]taps, to)
	for i := range all {
		centre := (float64(i) + 0.5) * scale
		first := max(0, int(centre-lobes*wide+0.5))
		last := min(from, int(centre+lobes*wide+0.5))
		t := taps{first: first, weights: make([]float64, last-first)}
		sum := 0.0
		for k := range t.weights {
			x := (float64(first+k) - centre + 0.5) / wide
			t.weights[k] = sinc(x) * sinc(x/lobes)
			if math.Abs(x) >= lobes {
				t.weights[k] = 0
			}
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
