package sd

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// InitUNet returns the weights of a new UNet, drawn as PyTorch draws them: weights and biases of convolutions and linear layers
// uniform between ±1/√fan-in, normalisations 1 and 0. The same configuration and seed give the same weights on every machine.
// c must pass Check.
func InitUNet(c UNetConfig, seed uint64) *Params { return draw(c.Shapes(), seed) }

// draw draws the tensors of convolutions, linear layers and normalisations.
func draw(shapes []Shape, seed uint64) *Params {
	p := NewParams()
	fan := map[string]int{} // fan-in of each layer, which its bias needs too
	for _, s := range shapes {
		layer, _, _ := strings.Cut(s.Name, ".weight")
		layer = strings.TrimSuffix(layer, ".bias")
		if len(s.Dims) > 1 {
			fan[layer] = size(s.Dims[1:])
		}
		p.Set(s.Name, initial(s, fan[layer], seed))
	}
	return p
}

// initial draws the tensor s of a layer with the given fan-in; 0 means a normalisation.
func initial(s Shape, fan int, seed uint64) *tensors.Tensor {
	data := make([]float32, size(s.Dims))
	switch {
	case fan > 0:
		rng := tensorRand(s.Name, seed)
		bound := 1 / math.Sqrt(float64(fan))
		for i := range data {
			data[i] = float32((2*rng.Float64() - 1) * bound)
		}
	case strings.HasSuffix(s.Name, ".weight"):
		for i := range data {
			data[i] = 1
		}
	}
	return tensors.FromFlatDataAndDimensions(data, s.Dims...)
}

// tensorRand is the random stream of the tensor called name: what one tensor draws does not depend on the others.
func tensorRand(name string, seed uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

func size(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
