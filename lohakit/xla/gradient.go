package xla

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// WithGradient returns output, a function of the inputs, with grad as its gradient: grad takes the gradient v of the loss with respect to
// output and returns those with respect to each input, in order and of the same shapes. How output was computed is not differentiated.
// All nodes must have one dtype.
//
// GoMLX lets only a node of one input carry a gradient of its own. So inputs and output are flattened and concatenated,
// the concatenation carries the gradient, and output is cut out of it; XLA sees through that and copies nothing.
func WithGradient(inputs []*Node, output *Node, grad func(v *Node) []*Node) *Node {
	var parts []*Node
	before := 0
	for _, in := range inputs {
		parts = append(parts, flat(in))
		before += in.Shape().Size()
	}
	cut := func(all *Node) *Node {
		return Reshape(Slice(all, AxisRangeToEnd(before)), output.Shape().Dimensions...)
	}
	rest := flat(StopGradient(output))
	all := IdentityWithCustomGradient(Concatenate(append(parts, rest), 0), func(_, v *Node) *Node {
		var grads []*Node
		for _, g := range grad(cut(v)) {
			grads = append(grads, flat(g))
		}
		return Concatenate(append(grads, ZerosLike(rest)), 0)
	})
	return cut(all)
}

func flat(x *Node) *Node { return Reshape(x, x.Shape().Size()) }
