package xla

import (
	"reflect"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/shapes"
)

// GoMLX v0.26 differentiates a product as broadcast, multiply and sum, which XLA does not turn back into products: a hundred times too
// slow, and the broadcast of two 1024×1024 matrices takes 4 GB. Replacing the rules for the two node types that every product
// becomes (MatMul, Einsum, Dot, DotGeneral) mends them all.
func init() {
	VJPRegistration[NodeTypeDotGeneral] = func(node *Node, vs []*Node, _ shapes.Shape) []*Node {
		left := axesOf(node, "lhs", node.Inputs()[0].Rank())
		right := axesOf(node, "rhs", node.Inputs()[1].Rank())
		return productGradients(vs[0], node.Inputs()[0], node.Inputs()[1], left, right)
	}
	VJPRegistration[NodeTypeDot] = func(node *Node, vs []*Node, _ shapes.Shape) []*Node {
		lhs, rhs := node.Inputs()[0], node.Inputs()[1]
		last := lhs.Rank() - 1
		left := operand{free: count(0, last), contracted: []int{last}}
		right := operand{free: count(1, rhs.Rank()-1), contracted: []int{0}}
		return productGradients(vs[0], lhs, rhs, left, right)
	}
}

// productGradients returns the gradients of both operands of a product whose own is v: each is the product of v and the other operand.
func productGradients(v, lhs, rhs *Node, left, right operand) []*Node {
	// The product's axes are the batch axes, then lhs's free ones, then rhs's free ones.
	batch := count(0, len(left.batch))
	leftFree := count(len(batch), len(left.free))
	rightFree := count(len(batch)+len(leftFree), len(right.free))
	return []*Node{
		inOrder(DotGeneral(v, rightFree, batch, rhs, right.free, right.batch), left, right),
		inOrder(DotGeneral(v, leftFree, batch, lhs, left.free, left.batch), right, left),
	}
}

// operand is how a product uses the axes of one of its operands.
type operand struct{ batch, contracted, free []int }

// axesOf reads the axes of operand side ("lhs" or "rhs") of a DotGeneral node; GoMLX keeps them in unexported fields.
func axesOf(node *Node, side string, rank int) operand {
	inputs := reflect.ValueOf(node).Elem().FieldByName("inputs").Elem().Elem()
	o := operand{batch: ints(inputs.FieldByName(side + "BatchAxes")), contracted: ints(inputs.FieldByName(side + "ContractingAxes"))}
	used := make([]bool, rank)
	for _, axis := range o.batch {
		used[axis] = true
	}
	for _, axis := range o.contracted {
		used[axis] = true
	}
	for axis, u := range used {
		if !u {
			o.free = append(o.free, axis)
		}
	}
	return o
}

// inOrder transposes a gradient of operand o, whose axes are o's batch axes, o's free axes, and then o's contracted axes in the
// ascending order of their partners in other, back to the order of o.
func inOrder(grad *Node, o, other operand) *Node {
	axes := append(append([]int{}, o.batch...), o.free...)
	for axis := range grad.Rank() + len(other.free) { // an upper bound of other's axes
		for i, partner := range other.contracted {
			if partner == axis {
				axes = append(axes, o.contracted[i])
			}
		}
	}
	permutation := make([]int, len(axes))
	identity := true
	for from, to := range axes {
		permutation[to] = from
		identity = identity && from == to
	}
	if identity {
		return grad
	}
	return TransposeAllAxes(grad, permutation...)
}

func ints(v reflect.Value) []int {
	out := make([]int, v.Len())
	for i := range out {
		out[i] = int(v.Index(i).Int())
	}
	return out
}

func count(from, n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = from + i
	}
	return out
}

// Linear is x·wᵀ + b over x's last axis: x [..., in], w [out, in] as in checkpoints, b [out] or nil; the result is [..., out].
func Linear(x, w, b *Node) *Node {
	y := DotGeneral(x, []int{x.Rank() - 1}, nil, w, []int{1}, nil)
	if b != nil {
		y = Add(y, ExpandLeftToRank(b, y.Rank()))
	}
	return y
}
