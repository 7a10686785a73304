package adapter

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// fullForm is the difference itself, of the weight and of the bias if there is one.
type fullForm struct{}

func (fullForm) plan(_ layerSpec, l Layer) []PlannedTensor {
	list := []PlannedTensor{{Suffix: "diff", Shape: l.Shape, draw: zeros}}
	if l.Bias {
		list = append(list, PlannedTensor{Suffix: "diff_b", Shape: l.Shape[:1], draw: zeros})
	}
	return list
}

func (fullForm) delta(c call) *Node { return c.direct("diff", "diff_b") }

// normForm is the difference of a normalisation's factors and offsets.
type normForm struct{}

func (normForm) plan(_ layerSpec, l Layer) []PlannedTensor {
	list := []PlannedTensor{{Suffix: "w_norm", Shape: l.Shape, draw: zeros}}
	if l.Bias {
		list = append(list, PlannedTensor{Suffix: "b_norm", Shape: l.Shape, draw: zeros})
	}
	return list
}

func (normForm) delta(c call) *Node { return c.direct("w_norm", "b_norm") }

// ofBias are the tensors that change a layer's bias; all others change its weight.
var ofBias = []string{"diff_b", "b_norm"}

// direct is the stored difference of the weight or of the bias; nil if there is none.
func (c call) direct(weight, bias string) *Node {
	suffix := weight
	if c.target == "bias" {
		suffix = bias
	}
	if c.has[suffix] == nil {
		return nil
	}
	return c.own(suffix)
}
