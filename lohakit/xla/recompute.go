package xla

import (
	"slices"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Recompute is f(x), none of whose intermediate results is kept for the backward pass: it computes them again when it needs them, which saves
// memory for about a third more time (Chen et al. 2016). f also returns the weights it read, which gradients must reach. It is called twice
// and must build the same each time. All nodes must have one dtype.
func Recompute(x []*Node, f func(x []*Node) (y *Node, weights []*Node)) *Node {
	y, weights := f(x)
	return WithGradient(append(slices.Clone(x), weights...), y, func(v *Node) []*Node {
		again := make([]*Node, len(x))
		for i := range x {
			// Zero, but known only when v is: so the compiler can neither take the first results nor compute the second ones early.
			again[i] = Identity(StopGradient(Add(x[i], MulScalar(firstOf(v), 0))))
		}
		y, _ := f(again)
		return Gradient(ReduceAllSum(Mul(y, StopGradient(v))), append(again, weights...)...)
	})
}

// firstOf is the first element of x, a scalar.
func firstOf(x *Node) *Node { return Squeeze(Slice(flat(x), AxisRange(0, 1))) }
