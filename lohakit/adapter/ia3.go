package adapter

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// ia3Form is ΔW = v·W along the output channels, or the input channels in feed-forward layers that narrow.
type ia3Form struct{}

// ia3OnInput reports whether the factors belong to the layer's input channels: its activations, after a non-linearity.
func ia3OnInput(l Layer) bool { return ia3InputLayers.MatchString(l.Path) }

func (ia3Form) plan(_ layerSpec, l Layer) []PlannedTensor {
	n := l.Shape[0]
	if ia3OnInput(l) {
		n = l.Shape[1]
	}
	shape := []int{n}
	if len(l.Shape) == 4 {
		shape = []int{1, n, 1, 1}
	}
	return []PlannedTensor{{Suffix: "weight", Shape: shape, draw: zeros}}
}

func (ia3Form) delta(c call) *Node {
	if c.target != "weight" {
		return nil
	}
	axis := 0
	if c.on {
		axis = 1
	}
	dims := make([]int, c.base.Rank())
	for i := range dims {
		dims[i] = 1
	}
	dims[axis] = c.base.Shape().Dim(axis)
	return InsertAxes(Mul(c.base, Reshape(c.own("weight"), dims...)), 0)
}
