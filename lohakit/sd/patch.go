package sd

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/xla"
)

// patchEncode is the linear encoder: a convolution whose stride is its kernel's side.
func (c VAEConfig) patchEncode(w Weights, x *Node) *Node {
	return xla.ChannelsFirst(xla.Conv(xla.ChannelsLast(x), w.Get("patch.weight"), w.Get("patch.bias"), c.Patch, 0))
}

// patchDecode is the transposed convolution of the same stride. Patches do not overlap, so it is one product.
func (c VAEConfig) patchDecode(w Weights, z *Node) *Node {
	d, p := z.Shape().Dimensions, c.Patch
	x := Einsum("bzij,zcyx->bciyjx", z, w.Get("unpatch.weight"))
	x = Reshape(x, d[0], 3, d[2]*p, d[3]*p)
	return Add(x, Reshape(w.Get("unpatch.bias"), 1, 3, 1, 1))
}

// InitVAE returns the weights of a new autoencoder. The convolutional one is drawn as InitUNet draws. The patch autoencoder is a
// random orthogonal projection and its transpose, so that it already returns whatever part of an image it keeps; with
// Latent = 3·Patch² that is all of it. The same configuration and seed give the same weights on every machine. c must pass Check.
func InitVAE(c VAEConfig, seed uint64) *Params {
	if c.Patch == 0 {
		return draw(c.Shapes(), seed)
	}
	p := NewParams()
	rows := projection(c.Latent, 3*c.Patch*c.Patch, seed)
	for _, s := range c.Shapes() {
		data := make([]float32, size(s.Dims))
		if len(s.Dims) == 4 {
			copy(data, rows)
		}
		p.Set(s.Name, tensors.FromFlatDataAndDimensions(data, s.Dims...))
	}
	return p
}

// projection returns n random rows of the given width, flat, each of length 1 and at right angles to all others; n is at most width.
func projection(n, width int, seed uint64) []float32 {
	rng := tensorRand("patch.weight", seed)
	rows := make([][]float64, n)
	flat := make([]float32, 0, n*width)
	for i := range rows {
		row := make([]float64, width)
		for j := range row {
			row[j] = rng.NormFloat64()
		}
		for _, other := range rows[:i] {
			along := dot(row, other)
			for j := range row {
				row[j] -= along * other[j]
			}
		}
		norm := math.Sqrt(dot(row, row))
		for j := range row {
			row[j] /= norm
			flat = append(flat, float32(row[j]))
		}
		rows[i] = row
	}
	return flat
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
