package adapter

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/pkg/core/graph"
)

// lokrForm is ΔW = s·w1⊗w2, the Kronecker product: w1 [a,b] and w2 [c,d,k,k] with out = a·c and in = b·d. Either may itself be a
// product; the scale is 1 if neither is.
type lokrForm struct{}

func (lokrForm) plan(ls layerSpec, l Layer) []PlannedTensor {
	factor := ls.Factor
	if factor == 0 {
		factor = -1
	}
	a, c := factorize(l.Shape[0], factor)
	b, d := factorize(l.Shape[1], factor)
	if ls.UnbalancedFactorization {
		a, c = c, a
	}
	r, kernel := ls.dim, l.Shape[2:]
	tensor := func(suffix string, draw func(*rand.Rand, []float32), shape ...int) PlannedTensor {
		return PlannedTensor{Suffix: suffix, Shape: shape, draw: draw}
	}
	// One part of w2 starts at zero: the second today, the first in 2023, when all others were drawn normally.
	first, a2, b2, w2 := kaiming, kaiming(r), zeros, zeros
	if ls.tucker {
		a2 = kaiming(c)
	}
	if ls.UseScalar {
		b2, w2 = kaiming(d*product(kernel)), kaiming(d*product(kernel))
		if ls.tucker {
			b2 = kaiming(d)
		}
	}
	if ls.Init == Init2023 {
		first, a2, b2 = func(int) func(*rand.Rand, []float32) { return normal(1) }, zeros, normal(0.05)
	}
	var list []PlannedTensor
	if ls.DecomposeBoth && 2*r < max(a, b) && !ls.FullMatrix {
		list = append(list, tensor("lokr_w1_a", first(r), a, r), tensor("lokr_w1_b", first(b), r, b))
	} else {
		list = append(list, tensor("lokr_w1", first(b), a, b))
	}
	switch {
	case 2*r >= max(c, d) || ls.FullMatrix:
		list = append(list, tensor("lokr_w2", w2, append([]int{c, d}, kernel...)...))
	case ls.tucker:
		core := append([]int{r, r}, kernel...)
		list = append(list, tensor("lokr_t2", kaiming(product(core[1:])), core...), tensor("lokr_w2_a", a2, r, c), tensor("lokr_w2_b", b2, r, d))
	default:
		list = append(list, tensor("lokr_w2_a", a2, c, r), tensor("lokr_w2_b", b2, r, d*product(kernel)))
	}
	return list
}

// factorize splits n into two factors, the smaller first: factor and its partner if factor divides n, else the pair with the
// smallest sum whose smaller member does not exceed factor, where negative means no limit.
func factorize(n, factor int) (small, large int) {
	if factor > 0 && n%factor == 0 {
		return min(factor, n/factor), max(factor, n/factor)
	}
	if factor < 0 {
		factor = n
	}
	small, large = 1, n
	for m := 2; m <= factor && m*m <= n; m++ {
		if n%m == 0 {
			small, large = m, n/m
		}
	}
	return small, large
}

func (lokrForm) delta(c call) *Node {
	if c.target != "weight" {
		return nil
	}
	dim, scaled := 1, false
	w1 := func() *Node {
		if c.has["lokr_w1"] != nil {
			return c.own("lokr_w1")
		}
		dim, scaled = c.has["lokr_w1_b"][0], true
		return product2(c.own("lokr_w1_a"), c.own("lokr_w1_b"))
	}()
	w2 := func() *Node {
		if c.has["lokr_w2"] != nil {
			return c.own("lokr_w2")
		}
		dim, scaled = c.has["lokr_w2_b"][0], true
		if c.has["lokr_t2"] != nil {
			return contract(c.own("lokr_w2_a"), lowRank{core: c.own("lokr_t2"), b: c.own("lokr_w2_b")}.right())
		}
		return product2(c.own("lokr_w2_a"), c.own("lokr_w2_b"))
	}()
	// kron(w1, w2)[a·C+c, b·D+d, …] = w1[a,b]·w2[c,d,…]; whatever follows d is the kernel.
	layers, rows, columns, below := w1.Shape().Dim(0), w1.Shape().Dim(1), w1.Shape().Dim(2), w2.Shape().Dim(1)
	right := columns * w2.Shape().Size() / layers / below
	kron := Mul(Reshape(w1, layers, rows, 1, columns, 1), Reshape(w2, layers, 1, below, 1, -1))
	if scaled {
		kron = MulScalar(kron, c.scale(dim))
	}
	return Reshape(kron, layers, rows*below, right)
}
