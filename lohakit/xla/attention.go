package xla

import (
	"math"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// Attention is scaled dot-product attention of q [B, N, C] over k and v [B, M, C], the channels split into heads of C/heads:
// softmax(q·kᵀ/√(C/heads) + mask)·v, as [B, N, C]. mask [N, M], or nil, is added to the logits (−∞ forbids) and not differentiated.
//
// The B·heads·N·M weights are the largest thing in a UNet, 1 GB for two rows of 64×64 pixels. Where they are many, they are computed
// for one block of queries after the other, and again in the backward pass instead of being kept for it.
func Attention(q, k, v *Node, heads int, mask *Node) *Node {
	d := q.Shape().Dimensions
	q = MulScalar(q, 1/math.Sqrt(float64(d[2]/heads)))
	if n := queryBlocks(d[0]*heads*d[1]*k.Shape().Dim(1), d[1]); n > 1 {
		return attendInBlocks(q, k, v, heads, mask, n)
	}
	return attendAtOnce(q, k, v, heads, mask)
}

// attendAtOnce is the attention of q, which is scaled already; the weights are kept for the backward pass.
func attendAtOnce(q, k, v *Node, heads int, mask *Node) *Node {
	qs, ks, vs := splitHeads(q, heads), splitHeads(k, heads), splitHeads(v, heads)
	weights, _ := exponentials(qs, ks, mask)
	// The weights stay unnormalised: dividing the much smaller result by their sum saves a pass over N×M numbers, here and below.
	sum := ReduceAndKeep(weights, ReduceSum, -1)
	out := Div(contract(weights, 3, vs, 2), sum)

	return WithGradient([]*Node{q, k, v}, joinHeads(out), func(g *Node) []*Node {
		scaled := Div(splitHeads(g, heads), sum)
		gLogits := Mul(weights, Sub(contract(scaled, 3, vs, 3), ReduceAndKeep(Mul(scaled, out), ReduceSum, -1)))
		// Products with the transposed N×M matrices are slow, so that the other factor is transposed instead.
		return []*Node{
			joinHeads(contract(gLogits, 3, ks, 2)),
			joinHeads(turned(contract(turned(qs), 3, gLogits, 2))),
			joinHeads(turned(contract(turned(scaled), 3, weights, 2))),
		}
	})
}

// attendInBlocks is attendAtOnce for at most n blocks of queries one by one, which keeps no weights: Dao et al. (2022) without the tiling of keys.
func attendInBlocks(q, k, v *Node, heads int, mask *Node, n int) *Node {
	qs, ks, vs := splitHeads(q, heads), splitHeads(k, heads), splitHeads(v, heads)
	queries := qs.Shape().Dim(2)
	size := (queries + n - 1) / n
	n = (queries + size - 1) / size // rounded up, the blocks may be fewer
	block := func(x *Node, axis, i int) *Node {
		return SliceAxis(x, axis, AxisRange(i*size, min((i+1)*size, x.Shape().Dim(axis))))
	}
	outs, logSums := make([]*Node, n), make([]*Node, n) // by block; the logarithm of the sum of the exponentials of its logits
	for i := range n {
		var blockMask *Node
		if mask != nil {
			blockMask = block(mask, 0, i)
		}
		weights, top := exponentials(block(qs, 2, i), ks, blockMask)
		sum := ReduceAndKeep(weights, ReduceSum, -1)
		outs[i], logSums[i] = Div(contract(weights, 3, vs, 2), sum), Add(top, Log(sum))
	}
	return WithGradient([]*Node{q, k, v}, joinHeads(Concatenate(outs, 2)), func(g *Node) []*Node {
		gs, kColumns := splitHeads(g, heads), turned(ks)
		var gq []*Node
		var gk, gv *Node
		for i := range n {
			// Everything M×N from here on: the other way round XLA would find the forward pass's products and keep them.
			qs, gs := block(qs, 2, i), block(gs, 2, i)
			logits := contract(ks, 3, qs, 3)
			if mask != nil {
				logits = Add(logits, ExpandLeftToRank(Transpose(block(mask, 0, i), 0, 1), 4))
			}
			weights := Exp(Sub(logits, turned(logSums[i])))
			along := ReduceAndKeep(Mul(gs, outs[i]), ReduceSum, -1)
			gLogits := Mul(weights, Sub(contract(vs, 3, gs, 3), turned(along)))
			gq = append(gq, turned(contract(kColumns, 3, gLogits, 2)))
			gk = sumOf(gk, contract(gLogits, 3, qs, 2))
			gv = sumOf(gv, contract(weights, 3, gs, 2))
		}
		return []*Node{joinHeads(Concatenate(gq, 2)), joinHeads(gk), joinHeads(gv)}
	})
}

// queryBlocks is the number of blocks into which n queries with so many weights are divided.
func queryBlocks(weights, n int) int {
	const (
		atOnce    = 1 << 24 // weights, 64 MB as float32
		maxBlocks = 16      // more blocks take longer to compile than the rest of the network
	)
	return min((weights+atOnce-1)/atOnce, maxBlocks, n)
}

// exponentials of the logits of qs over ks less top, the largest of each query.
func exponentials(qs, ks, mask *Node) (weights, top *Node) {
	logits := contract(qs, 3, ks, 3) // [B, heads, N, M]
	if mask != nil {
		logits = Add(logits, ExpandLeftToRank(mask, 4))
	}
	top = ReduceAndKeep(logits, ReduceMax, -1)
	return Exp(Sub(logits, top)), top
}

// splitHeads turns x [B, N, C] into [B, heads, N, C/heads].
func splitHeads(x *Node, heads int) *Node {
	d := x.Shape().Dimensions
	return TransposeAllAxes(Reshape(x, d[0], d[1], heads, d[2]/heads), 0, 2, 1, 3)
}

// joinHeads undoes splitHeads.
func joinHeads(x *Node) *Node {
	x = TransposeAllAxes(x, 0, 2, 1, 3)
	d := x.Shape().Dimensions
	return Reshape(x, d[0], d[1], d[2]*d[3])
}

// turned swaps the last two of four axes.
func turned(x *Node) *Node { return TransposeAllAxes(x, 0, 1, 3, 2) }

// contract multiplies axis i of a with axis j of b; both begin with the batch and the heads.
func contract(a *Node, i int, b *Node, j int) *Node {
	return DotGeneral(a, []int{i}, []int{0, 1}, b, []int{j}, []int{0, 1})
}

// sumOf is a+b, or b where there is no a yet.
func sumOf(a, b *Node) *Node {
	if a == nil {
		return b
	}
	return Add(a, b)
}
