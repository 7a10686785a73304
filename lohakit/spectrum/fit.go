package spectrum

import (
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Parameters of the fit.
const (
	sweeps = 60
	trial  = 12 // sweeps from each of several starts, the best of which goes on
	starts = 4
	gain   = 1e-4  // stop when a sweep improves the error by less than this share
	ridge  = 1e-10 // keeps the small systems solvable, relative to their diagonal
	ripple = 0.3   // deviation of the second product's start around 1
	widest = 64    // dim, whose fourth power is the size of the systems: of 64 they take 134 MB on each core
)

// FitLoHa makes a LoHa of the given dims of differences: (w1_a·w1_b)∘(w2_a·w2_b), fitted to each layer by least squares, one factor at a
// time, from a few starts. Unlike a truncated singular value decomposition the fit is seldom the best there is; Part.Error says
// how good it is, after rounding to F16. dim is 1 to 64, and convDim too, or 0, which leaves larger convolutions out. Part.Share is 1 − Error². To
// make a LoHa smaller, ResizeLoHa is better: it starts from the LoHa's own factors.
func FitLoHa(d Differences, dim, convDim int, report Progress) (*adapter.Adapter, []Part, error) {
	return fitAll(d, dim, convDim, report, func(Matrix) (first, second *Matrix, err error) { return nil, nil, nil })
}

// fitAll fits every layer, from the two products that of returns where there are any.
func fitAll(d Differences, dim, convDim int, report Progress, of func(m Matrix) (first, second *Matrix, err error)) (*adapter.Adapter, []Part, error) {
	if dim < 1 || convDim < 0 {
		return nil, nil, fault.New(fault.Invalid, "fit LoHa", "Dim", "%d, ConvDim %d", dim, convDim).Fix("use 8 and 4")
	}
	if dim > widest || convDim > widest {
		return nil, nil, fault.New(fault.Invalid, "fit LoHa", "Dim", "%d, ConvDim %d: above %d the fit takes gigabytes", dim, convDim, widest).
			Fix("use 8 and 4, or Extract with a rank")
	}
	layers := make([]made, len(d))
	err := d.each(report, func(i int, m Matrix) error {
		rank := dim
		if m.spatial() {
			rank = convDim
		}
		if rank == 0 || m.energy() == 0 {
			return nil
		}
		rank = min(rank, m.Rows, m.Cols)
		first, second, err := of(m)
		if err != nil {
			return err
		}
		f, err := fitHadamard(m, rank, first, second)
		if err != nil {
			return err
		}
		f.balance()
		layers[i], err = f.layer(m, rank)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return assemble("fit LoHa", layers)
}

// hadamard is w1_a, w1_bᵀ, w2_a and w2_bᵀ, each [rows or columns, rank].
type hadamard [4]*mat.Dense

// balance gives all four the same largest value, so that F16 holds them whatever the size of the difference.
func (f hadamard) balance() {
	var most [4]float64
	mean := 1.0
	for i, x := range f {
		most[i] = math.Max(mat.Max(x), -mat.Min(x))
		mean *= math.Sqrt(math.Sqrt(most[i]))
	}
	for i, x := range f {
		if mean > 0 {
			x.Scale(mean/most[i], x)
		}
	}
}

// layer is the tensors in a file, with the error after their rounding.
func (f hadamard) layer(m Matrix, rank int) (made, error) {
	var l made
	var stored hadamard
	for i, suffix := range []string{"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} {
		shape, values := []int{m.Rows, rank}, mat.DenseCopyOf(f[i])
		if i%2 == 1 {
			shape, values = []int{rank, m.Cols}, mat.DenseCopyOf(f[i].T())
		}
		t, err := store(m.Key+"."+suffix, checkpoint.F16, shape, singles(values.RawMatrix().Data))
		if err != nil {
			return l, err
		}
		rounded, err := t.Floats()
		if err != nil {
			return l, err
		}
		stored[i] = mat.NewDense(shape[0], shape[1], doubles(rounded))
		if i%2 == 1 {
			stored[i] = mat.DenseCopyOf(stored[i].T())
		}
		l.tensors = append(l.tensors, t)
	}
	alpha, err := checkpoint.FromFloats(m.Key+".alpha", checkpoint.F16, nil, []float32{float32(rank)})
	if err != nil {
		return l, err
	}
	l.tensors = append(l.tensors, alpha)
	total := m.energy()
	e := math.Sqrt(math.Max(residual(stored, newTarget(m), total), 0) / total)
	l.part = Part{Name: m.Name, Rank: rank, Share: math.Max(0, 1-e*e), Error: e}
	return l, nil
}

// target is what is fitted: only its products with thin matrices are needed.
type target struct {
	left, right *mat.Dense // the matrix is left·right; right is nil where it is left alone
}

func newTarget(m Matrix) target {
	if m.product != nil {
		l, r := m.sides()
		return target{l, r}
	}
	return target{left: m.dense()}
}

// times is the target times x, or transposed times x.
func (t target) times(x *mat.Dense, across bool) *mat.Dense {
	var out mat.Dense
	switch {
	case t.right == nil && across:
		out.Mul(t.left.T(), x)
	case t.right == nil:
		out.Mul(t.left, x)
	case across:
		var inner mat.Dense
		inner.Mul(t.left.T(), x)
		out.Mul(t.right.T(), &inner)
	default:
		var inner mat.Dense
		inner.Mul(t.right, x)
		out.Mul(t.left, &inner)
	}
	return &out
}

// fitHadamard fits factors to m: from the truncated products of a given LoHa, or from the best of some random starts.
func fitHadamard(m Matrix, rank int, first, second *Matrix) (hadamard, error) {
	data, total := newTarget(m), m.energy()
	improve := func(f hadamard, n int) float64 {
		last := math.Inf(1)
		for range n {
			for i := 0; i < 4; i += 2 {
				other := 2 - i
				solve(f[i], f[i+1], f[other], f[other+1], data, false)
				solve(f[i+1], f[i], f[other+1], f[other], data, true)
			}
			e := residual(f, data, total)
			if e > last*(1-gain) {
				return e
			}
			last = e
		}
		return last
	}
	var f hadamard
	var err error
	if first != nil {
		if f[0], f[1], err = halves(*first, rank); err != nil {
			return f, err
		}
		if f[2], f[3], err = halves(*second, rank); err != nil {
			return f, err
		}
		improve(f, sweeps)
		return f, nil
	}
	var best hadamard
	least := math.Inf(1)
	left, right, err := halves(m, rank)
	if err != nil {
		return f, err
	}
	rng := rand.New(rand.NewPCG(uint64(m.Rows), uint64(m.Cols)))
	for range starts {
		f = hadamard{mat.DenseCopyOf(left), mat.DenseCopyOf(right), ripples(m.Rows, rank, rng), ripples(m.Cols, rank, rng)}
		if e := improve(f, trial); e < least {
			best, least = f, e
		}
	}
	improve(best, sweeps)
	return best, nil
}

// halves is the two sides of m truncated to rank, the singular values shared evenly.
func halves(m Matrix, rank int) (left, right *mat.Dense, err error) {
	p, err := decompose(m, rank)
	if err != nil {
		return nil, nil, err
	}
	left, right = mat.NewDense(m.Rows, rank, nil), mat.NewDense(m.Cols, rank, nil)
	for k, sigma := range p.values {
		root := math.Sqrt(sigma)
		for i := range m.Rows {
			left.Set(i, k, root*p.u.At(i, k))
		}
		for j := range m.Cols {
			right.Set(j, k, root*p.v.At(j, k))
		}
	}
	return left, right, nil
}

// ripples is a side of the second product's start: its first column is 1, the others small, and noise on all.
func ripples(n, rank int, rng *rand.Rand) *mat.Dense {
	out := mat.NewDense(n, rank, nil)
	for i := range n {
		for k := range rank {
			v := ripple * rng.NormFloat64()
			if k == 0 {
				v++
			}
			out.Set(i, k, v)
		}
	}
	return out
}

// solve sets each row of a to the least-squares solution of (a·bᵀ)∘(p·qᵀ) = data, or data transposed. With the columns K of b and q multiplied
// pair by pair, row i solves (pᵢ⊗I)ᵀ KᵀK (pᵢ⊗I) aᵢ = (pᵢ⊗I)ᵀ Kᵀ dataᵢ: nothing as large as the data is touched but data·K.
func solve(a, b, p, q *mat.Dense, data target, across bool) {
	rows, rank := a.Dims()
	k := pairs(q, b)
	right := data.times(k, across) // [rows, rank²], the column of q first
	var inner mat.Dense
	inner.Mul(k.T(), k)
	for i := range rows {
		pi, ri := p.RawRowView(i), right.RawRowView(i)
		normal, want := mat.NewSymDense(rank, nil), mat.NewVecDense(rank, nil)
		trace := 0.0
		for s := range rank {
			sum := 0.0
			for x, px := range pi {
				sum += px * ri[x*rank+s]
			}
			want.SetVec(s, sum)
			for t := s; t < rank; t++ {
				sum := 0.0
				for x, px := range pi {
					row := inner.RawRowView(x*rank + s)
					for y, py := range pi {
						sum += px * py * row[y*rank+t]
					}
				}
				normal.SetSym(s, t, sum)
			}
			trace += normal.At(s, s)
		}
		for s := range rank {
			normal.SetSym(s, s, normal.At(s, s)+ridge*trace+math.SmallestNonzeroFloat32)
		}
		var c mat.Cholesky
		var x mat.VecDense
		if c.Factorize(normal) && c.SolveVecTo(&x, want) == nil {
			copy(a.RawRowView(i), x.RawVector().Data)
		}
	}
}

// pairs is every column of a times every column of b, element by element: [rows, rank²], a's column first.
func pairs(a, b *mat.Dense) *mat.Dense {
	rows, rank := a.Dims()
	out := mat.NewDense(rows, rank*rank, nil)
	for i := range rows {
		to, x, y := out.RawRowView(i), a.RawRowView(i), b.RawRowView(i)
		for s, v := range x {
			for t, w := range y {
				to[s*rank+t] = v * w
			}
		}
	}
	return out
}

// residual is the squared error of the fit, total being the data's energy: ‖D‖² − 2⟨D, P⟩ + ‖P‖², P being a product of rank² columns.
func residual(f hadamard, data target, total float64) float64 {
	left, right := pairs(f[0], f[2]), pairs(f[1], f[3])
	product := data.times(right, false)
	product.MulElem(product, left)
	var l, r mat.Dense
	l.Mul(left.T(), left)
	r.Mul(right.T(), right)
	l.MulElem(&l, &r)
	return total - 2*mat.Sum(product) + mat.Sum(&l)
}
