package sample

import (
	"math"
	"math/rand/v2"
)

// Source draws the normal noise of one image, one field after another: first the starting latents, then what the sampler adds.
type Source interface {
	// Field fills dst with independent values of mean 0 and variance 1.
	Field(dst []float32)
}

// GoNoise is the kit's own noise: Go's PCG generator and ziggurat, the same values on every machine and in every version of Go.
func GoNoise(seed int64) Source {
	return goNoise{rand.New(rand.NewPCG(uint64(seed), 0x6c6f68616b6974))}
}

type goNoise struct{ *rand.Rand }

func (g goNoise) Field(dst []float32) {
	for i := range dst {
		dst[i] = float32(g.NormFloat64())
	}
}

// Philox is the noise of web UIs on NVIDIA GPUs (their random source "GPU" or "NV"): Philox 4×32-10 (Salmon et al. 2011) counting fields
// and places in a field, turned normal by Box and Muller. The same seed starts from the same latents as there.
func Philox(seed int64) Source { return &philox{seed: uint64(seed)} }

type philox struct {
	seed   uint64
	fields uint32
}

func (p *philox) Field(dst []float32) {
	for i := range dst {
		v := philoxRounds([4]uint32{p.fields, 0, uint32(i), 0}, uint32(p.seed), uint32(p.seed>>32))
		// the constants are float32 in the reference; the arithmetic is float64
		const unit, turn = float64(float32(2.3283064e-10)), float64(float32(2.3283064e-10 * 6.2831855))
		u := float64(float64(v[0])*unit) + unit/2
		angle := float64(float64(v[1])*turn) + turn/2
		dst[i] = float32(math.Sqrt(-2*math.Log(u)) * math.Sin(angle))
	}
	p.fields++
}

// philoxRounds is ten rounds of the Philox 4×32 bijection under the key (k0, k1).
func philoxRounds(c [4]uint32, k0, k1 uint32) [4]uint32 {
	for range 10 {
		a, b := uint64(c[0])*0xd2511f53, uint64(c[2])*0xcd9e8d57
		c = [4]uint32{uint32(b>>32) ^ c[1] ^ k0, uint32(b), uint32(a>>32) ^ c[3] ^ k1, uint32(a)}
		k0 += 0x9e3779b9
		k1 += 0xbb67ae85
	}
	return c
}

// brownian is the increments of one Brownian path over the noise levels, so that the same seed gives related images at different
// step counts. The path is found by halving the range of levels again and again, each midpoint drawn given its ends.
type brownian struct {
	seed   uint64
	lo, hi float64
}

// halvings leaves intervals a millionth of the range, far below any step.
const halvings = 20

func newBrownian(seed int64, lo, hi float64) *brownian {
	return &brownian{seed: uint64(seed), lo: lo, hi: hi}
}

// Fill sets dst to the path's increment from one level to a lower one, divided by the root of the distance: unit noise.
func (b *brownian) Fill(dst []float32, from, to float64) {
	start, end := b.at(from, len(dst)), b.at(to, len(dst))
	scale := 1 / math.Sqrt(from-to)
	for i := range dst {
		dst[i] = float32((end[i] - start[i]) * scale)
	}
}

// at is the path at level t, 0 at the lowest level.
func (b *brownian) at(t float64, n int) []float64 {
	lo, hi := b.lo, b.hi
	left, right := make([]float64, n), b.normal(1, n)
	for i := range right {
		right[i] *= math.Sqrt(hi - lo)
	}
	node := uint64(1)
	for range halvings {
		if t <= lo {
			return left
		}
		if t >= hi {
			return right
		}
		mid, z := (lo+hi)/2, b.normal(node<<1|1, n)
		spread := math.Sqrt(hi-lo) / 2
		for i := range z {
			z[i] = float64((left[i]+right[i])/2) + float64(spread*z[i])
		}
		if t < mid {
			node, hi, right = node<<1, mid, z
		} else {
			node, lo, left = node<<1|1, mid, z
		}
	}
	f := (t - lo) / (hi - lo)
	for i := range left {
		left[i] = float64((1-f)*left[i]) + float64(f*right[i])
	}
	return left
}

// normal is the field of one node of the tree.
func (b *brownian) normal(node uint64, n int) []float64 {
	g := rand.New(rand.NewPCG(b.seed, node))
	out := make([]float64, n)
	for i := range out {
		out[i] = g.NormFloat64()
	}
	return out
}
