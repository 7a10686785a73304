package xla

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Attention is scaled dot-product attention of q [B, N, C] over k and v [B, M, C], the channels split into heads of C/heads:
// softmax(q·kᵀ/√(C/heads) + mask)·v, as [B, N, C]. mask [N, M], or nil, is added to the logits (−∞ forbids) and not differentiated.
func Attention(q, k, v *Node, heads int, mask *Node) *Node {
	shape := q.Shape().Dimensions
	split := func(x *Node, axes ...int) *Node { // of [B, N, heads, C/heads]
		d := x.Shape().Dimensions
		return TransposeAllAxes(Reshape(x, d[0], d[1], heads, d[2]/heads), axes...)
	}
	join := func(x *Node, axes ...int) *Node { // to [B, N, heads, C/heads]
		x = TransposeAllAxes(x, axes...)
		d := x.Shape().Dimensions
		return Reshape(x, d[0], d[1], d[2]*d[3])
	}
	product := func(a *Node, i int, b *Node, j int) *Node { // contracts axis i of a with axis j of b
		return DotGeneral(a, []int{i}, []int{0, 1}, b, []int{j}, []int{0, 1})
	}
	rows, columns := []int{0, 2, 1, 3}, []int{0, 2, 3, 1} // [B, heads, N, C/heads] and [B, heads, C/heads, N]
	factor := 1 / math.Sqrt(float64(shape[2]/heads))
	q = MulScalar(q, factor)
	ks, vs := split(k, rows...), split(v, rows...)

	logits := product(split(q, rows...), 3, ks, 3) // [B, heads, N, M]
	if mask != nil {
		logits = Add(logits, ExpandLeftToRank(mask, 4))
	}
	weights := Exp(Sub(logits, ReduceAndKeep(logits, ReduceMax, -1)))
	// The weights stay unnormalised: dividing the much smaller result by their sum saves a pass over N×M numbers, here and below.
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	out := Div(product(weights, 3, vs, 2), sum)

	return WithGradient([]*Node{q, k, v}, join(out, rows...), func(g *Node) []*Node {
		scaled := Div(split(g, rows...), sum)
		columnScaled := Div(split(g, columns...), Reshape(sum, shape[0], heads, 1, shape[1]))
		gLogits := Mul(weights, Sub(product(scaled, 3, vs, 3), ReduceAndKeep(Mul(scaled, out), ReduceSum, -1)))
		// Products with the transposed N×M matrices are slow, so that the other factor is transposed instead.
		return []*Node{
			join(product(gLogits, 3, ks, 2), rows...),
			join(product(split(q, columns...), 3, gLogits, 2), 0, 3, 1, 2),
			join(product(columnScaled, 3, weights, 2), 0, 3, 1, 2),
		}
	})
}
