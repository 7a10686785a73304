package adapter

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// float32Epsilon is what LyCORIS adds to a norm before dividing by it.
const float32Epsilon = 0x1p-23

// doraPlan is the trained length of each output channel's weight, or of each input channel's; it starts as the base weight's.
func doraPlan(l Layer, onInput bool) PlannedTensor {
	axis := 0
	if onInput {
		axis = 1
	}
	shape := make([]int, len(l.Shape))
	for i := range shape {
		shape[i] = 1
	}
	shape[axis] = l.Shape[axis]
	return PlannedTensor{Suffix: "dora_scale", Shape: shape, from: func(w []float32, l Layer) []float32 {
		rest := product(l.Shape[axis+1:])
		sums := make([]float64, l.Shape[axis])
		for i, v := range w {
			sums[i/rest%l.Shape[axis]] += float64(v) * float64(v)
		}
		lengths := make([]float32, len(sums))
		for i, sum := range sums {
			lengths[i] = float32(math.Sqrt(sum))
		}
		return lengths
	}}
}

// dora is (W+ΔW)·(1 + strength·(d/‖W+ΔW‖ − 1)), the norm taken over everything but the axis that d, the trained length, runs along.
func (c call) dora(delta, strength *Node) *Node {
	d := Squeeze(c.own("dora_scale"), 0)
	w := Add(c.base, delta)
	var others []int
	for axis := range w.Rank() {
		if d.Shape().Dim(axis) == 1 {
			others = append(others, axis)
		}
	}
	length := AddScalar(Sqrt(ReduceAndKeep(Square(w), ReduceSum, others...)), float32Epsilon)
	factor := Div(d, length)
	if strength != nil {
		factor = OnePlus(Mul(ConvertDType(strength, w.DType()), AddScalar(factor, -1)))
	}
	return Mul(w, factor)
}
