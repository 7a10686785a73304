package adapter

import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// lohaForm is ΔW = s·(w1_a·w1_b)⊙(w2_a·w2_b), of rank up to dim². In Tucker form each factor is a core t [r,r,k,k] between w_a [r,out]
// and w_b [r,in], transposed against the plain form.
type lohaForm struct{}

func (lohaForm) plan(ls layerSpec, l Layer) []PlannedTensor {
	out, in := l.flat()
	r := ls.dim
	a1, a2, b2 := normal(0.1), zeros, normal(1)
	if ls.UseScalar {
		a2 = normal(0.1)
	}
	if ls.Init == Init2023 {
		a1, b2 = normal(1), normal(0.01)
	}
	if ls.tucker {
		core := append([]int{r, r}, l.Shape[2:]...)
		in = l.Shape[1]
		return []PlannedTensor{
			{Suffix: "hada_t1", Shape: core, draw: normal(0.1)},
			{Suffix: "hada_w1_a", Shape: []int{r, out}, draw: a1},
			{Suffix: "hada_w1_b", Shape: []int{r, in}, draw: normal(1)},
			{Suffix: "hada_t2", Shape: core, draw: normal(0.1)},
			{Suffix: "hada_w2_a", Shape: []int{r, out}, draw: a2},
			{Suffix: "hada_w2_b", Shape: []int{r, in}, draw: b2},
		}
	}
	return []PlannedTensor{
		{Suffix: "hada_w1_a", Shape: []int{out, r}, draw: a1},
		{Suffix: "hada_w1_b", Shape: []int{r, in}, draw: normal(1)},
		{Suffix: "hada_w2_a", Shape: []int{out, r}, draw: a2},
		{Suffix: "hada_w2_b", Shape: []int{r, in}, draw: b2},
	}
}

func (lohaForm) delta(c call) *Node {
	if c.target != "weight" {
		return nil
	}
	first := lowRank{a: c.own("hada_w1_a"), b: c.own("hada_w1_b")}
	second := lowRank{a: c.own("hada_w2_a"), b: c.own("hada_w2_b")}
	if c.has["hada_t1"] != nil {
		first.core, second.core = c.own("hada_t1"), c.own("hada_t1")
		if c.compat != CompatLyCORIS012 {
			second.core = c.own("hada_t2")
		}
		if c.compat != "" {
			first.crossed, second.crossed = second.right(), first.right()
		}
	}
	var delta *Node
	if c.remade {
		delta = Mul(first.product(nil), second.product(nil))
	} else {
		delta = hadamard(first.product, second.product)
	}
	return MulScalar(delta, c.scale(c.has["hada_w1_b"][0]))
}

// lowRank is one of the two factors of a LoHa: a·b, or in Tucker form Σ_ij core[i,j,…]·a[i,p]·b[j,q]; with a leading axis, for as many
// layers as are computed together.
type lowRank struct {
	a, b, core *Node
	crossed    *Node // see CompatGradient; nil for the true gradient
}

// right is Σ_j core[i,j,…]·b[j,q], of shape [i,q,…].
func (f lowRank) right() *Node { return Einsum("zijkl,zjq->ziqkl", f.core, f.b) }

// product is the factor in full; zero, if not nil, is added to a (see hadamard).
func (f lowRank) product(zero *Node) *Node {
	a := f.a
	if zero != nil {
		a = Add(a, zero)
	}
	if f.core == nil {
		return product2(a, f.b)
	}
	if f.crossed == nil {
		return contract(a, f.right())
	}
	still := StopGradient(a)
	return Add(contract(still, f.right()), contract(Sub(a, still), StopGradient(f.crossed)))
}

// contract is Σ_i a[i,p]·right[i,q,…], of shape [p,q,…]. Its rows are the output channels, so that nothing large is transposed.
func contract(a, right *Node) *Node {
	return DotGeneral(a, []int{1}, []int{0}, right, []int{1}, []int{0})
}

// product2 is a·b of matrices, for every layer.
func product2(a, b *Node) *Node { return DotGeneral(a, []int{2}, []int{0}, b, []int{1}, []int{0}) }

// hadamard is f⊙g, where f and g make products from small factors. Differentiated as written, it would keep both products, each as
// large as the weight, from the forward to the backward pass; here the backward pass makes them again. BenchmarkLoHaBackward: 1.8 instead
// of 2.3 GB at the peak (16 layers of 2048²), for 2 to 6 % more processor time.
//
// The parameter of f and g is nil or a zero scalar. The backward pass adds it to a factor: it depends on the incoming gradient, so
// the compiler can neither take the forward pass's product instead nor make the product before its turn.
func hadamard(f, g func(zero *Node) *Node) *Node {
	x, y := f(nil), g(nil)
	return Add(Mul(StopGradient(x), StopGradient(y)), Add(carrier(x, g), carrier(y, f)))
}

// carrier is zero in value, and passes on to x its gradient in x⊙other.
func carrier(x *Node, other func(zero *Node) *Node) *Node {
	return IdentityWithCustomGradient(Sub(x, StopGradient(x)), func(_, v *Node) *Node {
		first := v
		for first.Rank() > 0 {
			first = Squeeze(Slice(first, AxisRange(0, 1)), 0)
		}
		return Mul(v, other(MulScalar(first, 0)))
	})
}
