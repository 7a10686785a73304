package xla

import (
	"slices"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Recompute is f(x), none of whose intermediate results is kept for the backward pass: it computes them again when it needs them, which saves
// memory for about a third more time (Chen et al. 2016). f also returns the weights it read, which gradients must reach, each once and none made
// from another. It is called twice and must build the same each time. All nodes must have one dtype.
func Recompute(x []*Node, f func(x []*Node) (y *Node, weights []*Node)) *Node {
	y, weights := f(x)
	return WithGradient(append(slices.Clone(x), weights...), y, func(v *Node) []*Node {
		again := make([]*Node, len(x))
		for i := range x {
			again[i] = Identity(StopGradient(After(x[i], v)))
		}
		y, _ := f(again)
		grads := Gradient(ReduceAllSum(Mul(y, StopGradient(v))), append(again, weights...)...)
		// What comes next, towards the inputs, waits for those of x: the compiler puts off what needs memory for a moment, such as making a large
		// gradient into a small one, and keeps the large ones of many layers meanwhile.
		grads[0] = After(grads[0], grads[1:len(x)]...)
		return grads
	})
}

// After is x, known only when all of v are: the compiler can neither compute what is made from it early nor take what was made from x before.
func After(x *Node, v ...*Node) *Node {
	for _, other := range v {
		first := Squeeze(Slice(flat(StopGradient(other)), AxisRange(0, 1)))
		x = Add(x, MulScalar(first, 0))
	}
	return x
}
