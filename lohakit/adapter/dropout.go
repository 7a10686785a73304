package adapter

import (
	"hash/fnv"
	"slices"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"

	"github.com/lohakit/notebook/lohakit/sd"
)

// Chance draws the numbers that decide dropout in a training graph, even in 0 ≤ u < 1, float32 of the given dimensions: other ones for every
// layer and purpose. perSample tells that the first axis counts the samples of the batch.
type Chance func(layer, purpose string, perSample bool, dims ...int) *Node

// NewChance draws from state, as RNGStateFromSeed makes one: give every step another. Of several devices with a part of the batch each, device
// (a scalar int32, counted from 0) draws its part of what one device would draw for the whole.
func NewChance(state, device *Node, devices int) Chance {
	g := state.Graph()
	return func(layer, purpose string, perSample bool, dims ...int) *Node {
		h := fnv.New64a()
		h.Write([]byte(layer + " " + purpose))
		drawn := slices.Clone(dims)
		if perSample {
			drawn[0] *= devices
		}
		_, u := RandomUniform(Add(state, Const(g, []uint64{h.Sum64(), 0, 0})), shapes.Make(dtypes.Float32, drawn...))
		if !perSample || devices == 1 {
			return u
		}
		start := make([]*Node, len(dims))
		for axis := range start {
			start[axis] = ScalarZero(g, dtypes.Int32)
		}
		start[0] = MulScalar(device, float64(dims[0]))
		return DynamicSlice(u, start, dims)
	}
}

// drops reports whether dropout is asked for.
func (s Spec) drops() bool { return s.NeuronDropout > 0 || s.RankDropout > 0 || s.ModuleDropout > 0 }

// between reports whether dropout is asked for that acts between the factors of a LoRA, on the layer's activations.
func (s Spec) between() bool {
	return s.NeuronDropout > 0 || s.RankDropout > 0 && s.RankDropoutBySample
}

// between reports whether the module has activations between factors.
func (m *module) between() bool {
	_, ok := m.form.(loconForm)
	return ok && m.has["dora_scale"] == nil
}

// dropRows leaves out the difference of some output channels, as LyCORIS does.
func (c call) dropRows(spec Spec, delta *Node, chance Chance) *Node {
	p := spec.RankDropout
	if _, factors := c.form.(ia3Form); factors || p == 0 {
		return delta
	}
	dims := make([]int, delta.Rank())
	for i := range dims {
		dims[i] = 1
	}
	dims[0] = delta.Shape().Dim(0)
	u := chance(c.name, "rank", false, dims...)
	mask := ConvertDType(GreaterThan(u, Scalar(u.Graph(), u.DType(), p)), delta.DType())
	if spec.RankDropoutScale {
		least := 1 / float64(dims[0]) // all may be left out
		mask = Div(mask, MaxScalar(ReduceAllMean(mask), least))
	}
	return Mul(delta, mask)
}

// dropping is the layer's weight with the difference (nil for none), dropout decided by chance (nil for none).
func (c call) dropping(spec Spec, delta *Node, chance Chance) *Node {
	if delta == nil {
		return c.base
	}
	if chance == nil {
		return c.with(delta, nil)
	}
	return c.kept(spec, c.with(c.dropRows(spec, delta, chance), nil), c.base, chance)
}

// kept is what is with the module, or in a step that leaves it out what is without.
func (c call) kept(spec Spec, with, without *Node, chance Chance) *Node {
	if spec.ModuleDropout == 0 {
		return with
	}
	u := chance(c.name, "module", false)
	return Where(GreaterOrEqual(u, Scalar(u.Graph(), u.DType(), spec.ModuleDropout)), with, without)
}

// factorNames are how the factors of a LoRA are asked of the weights that Grouped.Apply returns, after the layer's name.
const downName, coreName, upName = ".lora_down.weight", ".lora_mid.weight", ".lora_up.weight"

// beside is what a LoRA adds to a layer's output for the input x, with dropout between its factors as in kohya's networks.lora: of single
// activations, the rest scaled up, and of ranks, for every sample others.
func (c call) beside(w sd.Weights, name string, x *Node, product func(x, weight *Node) *Node, spec Spec, chance Chance) *Node {
	down, up := w.Get(name+downName), w.Get(name+upName)
	dim := down.Shape().Dim(0)
	var h *Node
	if c.has["lora_mid.weight"] != nil {
		h = DotGeneral(x, []int{x.Rank() - 1}, nil, Reshape(down, dim, -1), []int{1}, nil)
		h = product(h, w.Get(name+coreName))
	} else {
		h = product(x, down)
	}
	drop := func(p float64, purpose string, dims []int) {
		if p > 0 {
			u := chance(c.name, purpose, true, dims...)
			mask := MulScalar(ConvertDType(GreaterThan(u, Scalar(u.Graph(), u.DType(), p)), dtypes.Float32), 1/(1-p))
			h = Mul(h, ConvertDType(mask, h.DType()))
		}
	}
	whole := h.Shape().Dimensions
	drop(spec.NeuronDropout, "neuron", whole)
	ranks := make([]int, h.Rank())
	for i := range ranks {
		ranks[i] = 1
	}
	ranks[0], ranks[h.Rank()-1] = whole[0], dim
	drop(spec.RankDropout, "rank", ranks)
	y := MulScalar(DotGeneral(h, []int{h.Rank() - 1}, nil, Reshape(up, -1, dim), []int{1}, nil), c.scale(dim))
	return c.kept(spec, y, ZerosLike(y), chance)
}
