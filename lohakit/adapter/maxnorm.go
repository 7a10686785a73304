package adapter

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// shares tells how a factor on a layer's difference is spread over its tensors: as which power of it each is multiplied.
var shares = map[string]float64{
	"hada_w1_a":      1,
	"lora_up.weight": 0.5, "lora_down.weight": 0.5,
	"lokr_w1": 1, "lokr_w1_a": 1,
	"diff": 1,
}

// MaxNorm returns the tensors, in the order that Grouped took them, after every layer's difference that is longer than limit (Frobenius
// norm) has been scaled down to it: the trainers' scale_weight_norms. Both factors of a LoRA are scaled by the root of the ratio, as there;
// of the other kinds one tensor is. (IA)³ and normalisations stay as they are.
func (s *Grouped) MaxNorm(limit float64) (tensors []*Node) {
	for _, g := range s.groups {
		all := call{module: s.a.modules[g.Layers[0]], own: g.tensor, target: "weight"}
		var ratio *Node // [layers]
		if _, factors := all.form.(ia3Form); !factors {
			delta := all.difference()
			norm := Sqrt(ReduceSum(Square(Reshape(delta, len(g.Layers), -1)), 1))
			ratio = MinScalar(Div(Scalar(norm.Graph(), norm.DType(), limit), MaxScalar(norm, limit/2)), 1)
		}
		for i, suffix := range g.Suffixes {
			x := g.own[i]
			if power := all.share(suffix); power > 0 && ratio != nil {
				scale := ratio
				if power != 1 {
					scale = Sqrt(ratio)
				}
				x = Mul(x, ExpandAxes(scale, axes(1, x.Rank())...))
			}
			tensors = append(tensors, x)
		}
	}
	return tensors
}

// share is the tensor's of shares; a layer's scalar takes all, as in LyCORIS.
func (m *module) share(suffix string) float64 {
	switch {
	case suffix == scalar:
		return 1
	case m.head() != "":
		return 0
	}
	return shares[suffix]
}

// axes are the numbers from first up to, not with, end.
func axes(first, end int) (list []int) {
	for i := first; i < end; i++ {
		list = append(list, i)
	}
	return list
}
