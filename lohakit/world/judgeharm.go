package world

import (
	"math"
	"math/rand/v2"
)

// harm is what was done to an image before the judge sees it.
type harm int

const (
	fresh     harm = iota
	worn           // shifted, faded, blurred, noisy, bent or coarsened, as samples of a small model are; still plain to see
	ruined         // two images in one, melted, blurred beyond use: badly drawn, and nothing is asked of it
	destroyed      // noise, one colour, shuffled pieces: there is nothing to see
)

const side = judgeSize

// degrade changes an image [3, 64, 64] in place.
func degrade(rng *rand.Rand, x []float32) harm {
	switch u := rng.Float64(); {
	case u < 0.4:
		return fresh
	case u < 0.85:
		wear(rng, x)
		return worn
	case u < 0.93:
		switch rng.IntN(3) {
		case 0:
			other := Pixels(examScene(rng).Render(side))
			t := 0.35 + 0.3*rng.Float32()
			for i, v := range other {
				x[i] += t * (v - x[i])
			}
		case 1:
			bend(rng, x, 0.08+0.08*rng.Float64(), 6)
		default:
			smear(x, 4+3*rng.Float64())
			speckle(rng, x, 0.3*rng.Float64())
		}
		return ruined
	}
	switch rng.IntN(4) {
	case 0:
		for i := range x {
			x[i] = float32(math.Max(-1, math.Min(1, rng.NormFloat64()*0.7)))
		}
	case 1:
		for c := range 3 {
			v := 2*rng.Float32() - 1
			for i := range side * side {
				x[c*side*side+i] = v
			}
		}
		speckle(rng, x, 0.1*rng.Float64())
	case 2:
		shuffle(rng, x, 8)
	default:
		f := [3]func(x, y float64) float64{noise(rng, 6), noise(rng, 6), noise(rng, 6)}
		for i := range x {
			x[i] = float32(1.4 * f[i/(side*side)](float64(i%side)/side, float64(i/side%side)/side))
		}
		speckle(rng, x, 0.3*rng.Float64())
	}
	return destroyed
}

// wear applies each kind of wear with its own chance.
func wear(rng *rand.Rand, x []float32) {
	if rng.Float64() < 0.4 {
		shift(x, rng.IntN(9)-4, rng.IntN(9)-4)
	}
	if rng.Float64() < 0.4 {
		for c := range 3 {
			gain, lift := float32(0.9+0.2*rng.Float64()), float32(0.16*(rng.Float64()-0.5))
			for i := range side * side {
				x[c*side*side+i] = x[c*side*side+i]*gain + lift
			}
		}
	}
	if rng.Float64() < 0.35 {
		bend(rng, x, 0.035*rng.Float64(), 5)
	}
	if rng.Float64() < 0.35 {
		coarsen(x, 2+rng.IntN(3))
	}
	if rng.Float64() < 0.3 {
		smear(x, 0.4+0.7*rng.Float64())
	}
	if rng.Float64() < 0.4 {
		speckle(rng, x, 0.12*rng.Float64())
	}
	for i, v := range x {
		x[i] = max(-1, min(1, v))
	}
}

// shift moves the image by whole pixels; its edges are repeated.
func shift(x []float32, dx, dy int) {
	resample(x, func(c, r int) (float64, float64) { return float64(c - dx), float64(r - dy) })
}

// bend moves every point by a smooth random way of at most depth image widths.
func bend(rng *rand.Rand, x []float32, depth float64, cells int) {
	u, v := noise(rng, cells), noise(rng, cells)
	resample(x, func(c, r int) (float64, float64) {
		a, b := float64(c)/side, float64(r)/side
		return float64(c) + depth*side*u(a, b), float64(r) + depth*side*v(a, b)
	})
}

// resample replaces the image by itself read at other places, linearly interpolated.
func resample(x []float32, from func(c, r int) (float64, float64)) {
	old := append([]float32(nil), x...)
	for r := range side {
		for c := range side {
			u, v := from(c, r)
			u, v = math.Max(0, math.Min(side-1, u)), math.Max(0, math.Min(side-1, v))
			i, j := min(int(u), side-2), min(int(v), side-2)
			fu, fv := float32(u-float64(i)), float32(v-float64(j))
			for ch := range 3 {
				q := old[(ch*side+j)*side+i:]
				x[(ch*side+r)*side+c] = (q[0]*(1-fu)+q[1]*fu)*(1-fv) + (q[side]*(1-fu)+q[side+1]*fu)*fv
			}
		}
	}
}

// smear is a Gaussian blur of sigma pixels.
func smear(x []float32, sigma float64) {
	radius := int(3*sigma + 1)
	kernel := make([]float32, 2*radius+1)
	var sum float32
	for i := range kernel {
		d := float64(i - radius)
		kernel[i] = float32(math.Exp(-d * d / (2 * sigma * sigma)))
		sum += kernel[i]
	}
	line := make([]float32, side)
	pass := func(base, step int) {
		for i := range side {
			line[i] = x[base+i*step]
		}
		for i := range side {
			var v float32
			for k, w := range kernel {
				v += w * line[max(0, min(side-1, i+k-radius))]
			}
			x[base+i*step] = v / sum
		}
	}
	for c := range 3 {
		for i := range side {
			pass((c*side+i)*side, 1)
			pass(c*side*side+i, side)
		}
	}
}

func speckle(rng *rand.Rand, x []float32, sigma float64) {
	for i := range x {
		x[i] += float32(rng.NormFloat64() * sigma)
	}
}

// coarsen keeps only the lowest keep×keep cosine frequencies of each 4×4 block, colour differences one less: what a patch autoencoder loses.
func coarsen(x []float32, keep int) {
	var basis [4][4]float32 // orthonormal cosines
	for k := range 4 {
		scale := math.Sqrt(0.5)
		if k == 0 {
			scale = 0.5
		}
		for i := range 4 {
			basis[k][i] = float32(scale * math.Cos(math.Pi*float64(k)*(float64(i)+0.5)/4))
		}
	}
	const n = side * side
	for i := range n { // red and blue become their differences from green
		x[i] -= x[n+i]
		x[2*n+i] -= x[n+i]
	}
	for c := range 3 {
		kept := keep
		if c != 1 {
			kept--
		}
		for at := range n / 16 {
			base := c*n + (at/(side/4))*4*side + at%(side/4)*4
			var out [16]float32
			for k := range kept {
				for l := range kept {
					var a float32
					for i := range 16 {
						a += x[base+i/4*side+i%4] * basis[k][i/4] * basis[l][i%4]
					}
					for i := range 16 {
						out[i] += a * basis[k][i/4] * basis[l][i%4]
					}
				}
			}
			for i, v := range out {
				x[base+i/4*side+i%4] = v
			}
		}
	}
	for i := range n {
		x[i] += x[n+i]
		x[2*n+i] += x[n+i]
	}
}

// shuffle cuts the image into pieces of the given side and deals them out anew.
func shuffle(rng *rand.Rand, x []float32, piece int) {
	old := append([]float32(nil), x...)
	per := side / piece
	for to, from := range rng.Perm(per * per) {
		for c := range 3 {
			for r := range piece {
				copy(x[(c*side+to/per*piece+r)*side+to%per*piece:][:piece], old[(c*side+from/per*piece+r)*side+from%per*piece:][:piece])
			}
		}
	}
}
