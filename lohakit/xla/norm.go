package xla

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// GroupNorm normalises x [B, ..., C] over all positions and each of the groups of consecutive channels to mean 0 and variance 1
// (the biased one, plus eps), then scales by gamma [C] and shifts by beta [C]. groups must divide C.
func GroupNorm(x *Node, groups int, gamma, beta *Node, eps float64) *Node {
	shape := x.Shape().Dimensions
	b, c := shape[0], shape[len(shape)-1]
	n := x.Shape().Size() / (b * c)
	grouped := func(x *Node) *Node { return Reshape(x, b, n, groups, c/groups) }
	perChannel := func(p *Node) *Node { return Reshape(p, 1, 1, groups, c/groups) }

	xg := grouped(x)
	mean := ReduceAndKeep(xg, ReduceMean, 1, 3) // [B, 1, G, 1]
	centred := Sub(xg, mean)
	scale := Rsqrt(AddScalar(ReduceAndKeep(Square(centred), ReduceMean, 1, 3), eps))
	y := Add(Mul(Mul(centred, scale), perChannel(gamma)), perChannel(beta))

	return WithGradient([]*Node{x, gamma, beta}, Reshape(y, shape...), func(v *Node) []*Node {
		v = grouped(v)
		normal := Mul(centred, scale)
		sumV := ReduceAndKeep(v, ReduceSum, 1) // [B, 1, G, C/G]
		sumVN := ReduceAndKeep(Mul(v, normal), ReduceSum, 1)
		meanOf := func(s *Node) *Node {
			return DivScalar(ReduceAndKeep(Mul(s, perChannel(gamma)), ReduceSum, 3), float64(n*c/groups))
		}
		gx := Mul(scale, Sub(Sub(Mul(v, perChannel(gamma)), meanOf(sumV)), Mul(normal, meanOf(sumVN))))
		return []*Node{gx, ReduceSum(sumVN, 0, 1), ReduceSum(sumV, 0, 1)}
	})
}

// LayerNorm normalises x [..., C] over its last axis to mean 0 and variance 1 (the biased one, plus eps), then scales by gamma [C]
// and shifts by beta [C].
func LayerNorm(x, gamma, beta *Node, eps float64) *Node {
	perChannel := func(p *Node) *Node { return ExpandLeftToRank(p, x.Rank()) }
	centred := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	scale := Rsqrt(AddScalar(ReduceAndKeep(Square(centred), ReduceMean, -1), eps))
	y := Add(Mul(Mul(centred, scale), perChannel(gamma)), perChannel(beta))

	return WithGradient([]*Node{x, gamma, beta}, y, func(v *Node) []*Node {
		normal := Mul(centred, scale)
		vg := Mul(v, perChannel(gamma))
		gx := Mul(scale, Sub(Sub(vg, ReduceAndKeep(vg, ReduceMean, -1)), Mul(normal, ReduceAndKeep(Mul(vg, normal), ReduceMean, -1))))
		rows := count(0, x.Rank()-1)
		return []*Node{gx, ReduceSum(Mul(v, normal), rows...), ReduceSum(v, rows...)}
	})
}
