package spectrum

import (
	"math"

	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/adapter"
)

// pair is a product left [out, r] · right [r, in·kh·kw].
type pair struct{ left, right *mat.Dense }

// factor finds the factors of a LoCon's or LoHa's difference m, so that its singular values cost next to nothing: a LoHa of dim r is a
// product of inner size r², row by row and column by column the products of its four factors'. Other kinds have none.
func factor(a *adapter.Adapter, m *Matrix) error {
	var p pair
	switch {
	case a.Params.Shape(m.Key+".dora_scale") != nil:
		return nil
	case a.Params.Shape(m.Key+".hada_w1_a") != nil:
		first, err := side(a, *m, "1")
		if err != nil {
			return err
		}
		second, err := side(a, *m, "2")
		if err != nil {
			return err
		}
		p = first.hadamard(second)
	case a.Params.Shape(m.Key+".lora_up.weight") != nil:
		var err error
		if p, err = tucker(a, *m, "lora_up.weight", "lora_down.weight", "lora_mid.weight"); err != nil {
			return err
		}
	default:
		return nil
	}
	if _, inner := p.left.Dims(); 2*inner > min(m.Rows, m.Cols) {
		return nil
	}
	// the factors lack alpha's scale, and an adapter may hold more than they tell: the difference itself decides
	if scale, ok := p.scaleTo(*m); ok {
		p.left.Scale(scale, p.left)
		m.left, m.right = p.left, p.right
	}
	return nil
}

// side is one of the two products of a LoHa's layer.
func side(a *adapter.Adapter, m Matrix, n string) (pair, error) {
	return tucker(a, m, "hada_w"+n+"_a", "hada_w"+n+"_b", "hada_t"+n)
}

// tucker reads the product of the tensors up and down, with the core between them if there is one.
func tucker(a *adapter.Adapter, m Matrix, up, down, mid string) (pair, error) {
	x, y, t := a.Params.Get(m.Key+"."+up), a.Params.Get(m.Key+"."+down), a.Params.Get(m.Key+"."+mid)
	left, err := floats(m.Key+"."+up, x)
	if err != nil {
		return pair{}, err
	}
	right, err := floats(m.Key+"."+down, y)
	if err != nil {
		return pair{}, err
	}
	if t == nil {
		rank := len(left) / m.Rows
		return pair{mat.NewDense(m.Rows, rank, doubles(left)), mat.NewDense(rank, m.Cols, doubles(right))}, nil
	}
	core, err := floats(m.Key+"."+mid, t)
	if err != nil {
		return pair{}, err
	}
	// the core is [r, r, kh, kw], its first axis the left factor's
	shape := t.Shape().Dimensions
	rank, in, area := shape[0], m.Shape[1], shape[2]*shape[3]
	product := make([]float64, rank*in*area)
	for r := range rank {
		for s := range shape[1] {
			for i := range in {
				for k := range area {
					product[(r*in+i)*area+k] += float64(core[(r*shape[1]+s)*area+k]) * float64(right[s*in+i])
				}
			}
		}
	}
	wide := doubles(left)
	if x.Shape().Dimensions[0] == rank && up != "lora_up.weight" { // LoHa keeps it as [r, out]
		wide = transposed(wide, rank, m.Rows)
	}
	return pair{mat.NewDense(m.Rows, rank, wide), mat.NewDense(rank, m.Cols, product)}, nil
}

// hadamard is the elementwise product of two products as one product.
func (p pair) hadamard(q pair) pair {
	rows, a := p.left.Dims()
	_, b := q.left.Dims()
	_, cols := p.right.Dims()
	out := pair{mat.NewDense(rows, a*b, nil), mat.NewDense(a*b, cols, nil)}
	for i := range a {
		for j := range b {
			for r := range rows {
				out.left.Set(r, i*b+j, p.left.At(r, i)*q.left.At(r, j))
			}
			to, x, y := out.right.RawRowView(i*b+j), p.right.RawRowView(i), q.right.RawRowView(j)
			for c := range to {
				to[c] = x[c] * y[c]
			}
		}
	}
	return out
}

// factorSlack is how far float32 leaves a difference from its factors.
const factorSlack = 1e-4

// scaleTo is the number by which the product must be multiplied to be m, if there is one: found on a few rows, checked on them.
func (p pair) scaleTo(m Matrix) (float64, bool) {
	var dots, squares, total float64
	step := max(1, m.Rows/7)
	var row mat.Dense
	visit := func(f func(want, got float64)) {
		for r := 0; r < m.Rows; r += step {
			row.Reset()
			row.Mul(p.left.Slice(r, r+1, 0, p.left.RawMatrix().Cols), p.right)
			for c, got := range row.RawRowView(0) {
				f(float64(m.Data[r*m.Cols+c]), got)
			}
		}
	}
	visit(func(want, got float64) { dots, squares, total = dots+want*got, squares+got*got, total+want*want })
	if squares == 0 {
		return 0, false
	}
	scale, off := dots/squares, 0.0
	visit(func(want, got float64) { off += (want - scale*got) * (want - scale*got) })
	return scale, off <= factorSlack*factorSlack*total
}

// ofFactors is the spectrum of a product: that of the small matrix between orthonormal bases of its sides.
func ofFactors(m Matrix) *Spectrum {
	a, b := triangle(mat.DenseCopyOf(m.left)), triangle(mat.DenseCopyOf(m.right.T()))
	var core mat.Dense
	core.Mul(a, b.T())
	var svd mat.SVD
	svd.Factorize(&core, mat.SVDNone) // of finite values, which NewMatrix saw to, it converges
	s := &Spectrum{Name: m.Name, Rows: m.Rows, Cols: m.Cols, Values: make([]float64, min(m.Rows, m.Cols))}
	for i, v := range svd.Values(nil) {
		s.Values[i] = v
		s.Energy += v * v
	}
	return s
}

// triangle is R of the QR decomposition of a tall matrix, which it overwrites.
func triangle(a *mat.Dense) *mat.Dense {
	raw := a.RawMatrix()
	tau, size := make([]float64, raw.Cols), make([]float64, 1)
	lapack64.Geqrf(raw, tau, size, -1)
	work := make([]float64, int(math.Max(size[0], float64(raw.Cols))))
	lapack64.Geqrf(raw, tau, work, len(work))
	r := mat.NewDense(raw.Cols, raw.Cols, nil)
	for i := range raw.Cols {
		for j := i; j < raw.Cols; j++ {
			r.Set(i, j, a.At(i, j))
		}
	}
	return r
}
