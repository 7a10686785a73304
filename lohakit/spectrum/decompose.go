package spectrum

import (
	"math"

	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Of computes all singular values of m: of a product of small rank from its factors, else from the eigenvalues of the smaller of MMᵀ and
// MᵀM, in double precision. A value is exact to 1e-5 of itself down to 5e-6 of the largest; below that, where float32 weights hold only
// rounding, it is exact to 1e-8 of the largest.
func Of(m Matrix) (*Spectrum, error) {
	s := &Spectrum{Name: m.Name, Rows: m.Rows, Cols: m.Cols}
	if m.thin() {
		_, core, _ := m.core()
		var svd mat.SVD
		svd.Factorize(core, mat.SVDNone) // of finite values, which NewMatrix saw to, it converges
		s.Values = append(svd.Values(nil), make([]float64, m.full()-m.product.Rank)...)
		for _, v := range s.Values {
			s.Energy += v * v
		}
		return s, nil
	}
	g, err := gram(m)
	if err != nil {
		return nil, err
	}
	values, _, err := eigen(m, g, false)
	if err != nil {
		return nil, err
	}
	s.Values, s.Energy = roots(values), m.energy()
	return s, nil
}

// atLeast is the share of the norm that rounding of float32 weights may hide.
const atLeast = 1e-7

// Leading computes the n leading singular values of m by a randomized range finder, in time proportional to n instead of the full rank; of
// a small matrix, or where n is a large part of the rank, all are computed and the rest left out. What lies outside the range found is
// measured, not estimated: Missing² is its energy, and no value is below the true one by more than Missing, or above it at all (but for
// rounding, for which Missing is at least 1e-7 of the norm). The same matrix gives the same values on every run.
func Leading(m Matrix, n int) (*Spectrum, error) {
	if n < 1 {
		return nil, fault.New(fault.Invalid, "decompose", m.Name, "%d singular values", n).Fix("ask for 1 to %d", m.full())
	}
	p, err := decompose(m, n)
	if err != nil {
		return nil, err
	}
	s := &Spectrum{Name: m.Name, Rows: m.Rows, Cols: m.Cols, Values: p.values, Energy: m.energy()}
	held := 0.0
	for _, v := range p.values {
		held += v * v
	}
	if len(p.values) < m.full() {
		s.Missing = math.Sqrt(math.Max(s.Energy-held, 0) + atLeast*atLeast*s.Energy)
	}
	return s, nil
}

// parts is a truncated decomposition U·diag(values)·Vᵀ: u is [rows, n], v [cols, n], their columns orthonormal where the value is not 0.
type parts struct {
	u, v   *mat.Dense
	values []float64
}

// share of the rank from which all singular values are computed to get some.
const worthRange = 4

// decompose is the best approximation of m of rank n: exactly, or by the range finder. A thin product has no more parts than its rank.
func decompose(m Matrix, n int) (parts, error) {
	n = min(n, m.full())
	if m.thin() {
		return decomposeProduct(m, n), nil
	}
	if width(n)*worthRange < m.full() {
		return findRange(m, n)
	}
	g, err := gram(m)
	if err != nil {
		return parts{}, err
	}
	values, vectors, err := eigen(m, g, true)
	if err != nil {
		return parts{}, err
	}
	p := parts{values: roots(values)[:n]}
	side := mat.NewDense(m.full(), n, nil) // falling
	for i := range m.full() {
		for k := range n {
			side.Set(i, k, vectors.At(i, m.full()-1-k))
		}
	}
	var across mat.Dense
	if m.Rows <= m.Cols {
		across.Mul(m.dense().T(), side)
		p.u, p.v = side, &across
	} else {
		across.Mul(m.dense(), side)
		p.u, p.v = &across, side
	}
	unit(&across, p.values)
	return p, nil
}

// unit divides the columns by the singular values, which are their lengths; columns of length 0 stay.
func unit(a *mat.Dense, values []float64) {
	rows, _ := a.Dims()
	for k, v := range values {
		if v > 0 {
			for i := range rows {
				a.Set(i, k, a.At(i, k)/v)
			}
		}
	}
}

// thin reports whether m is known by factors that are no wider than it is; of wider ones the product itself is decomposed.
func (m Matrix) thin() bool { return m.product != nil && m.product.Rank <= m.full() }

// core is the product L·R as an orthonormal basis of L's columns, times a small matrix, times one of R's rows, transposed.
func (m Matrix) core() (left, core, right *mat.Dense) {
	l, r := m.sides()
	left, right = mat.DenseCopyOf(l), mat.DenseCopyOf(r.T())
	a, b := orthonormal(left), orthonormal(right)
	core = new(mat.Dense)
	core.Mul(a, b.T())
	return left, core, right
}

func decomposeProduct(m Matrix, n int) parts {
	left, core, right := m.core()
	n = min(n, m.product.Rank)
	var svd mat.SVD
	svd.Factorize(core, mat.SVDThin)
	var u, v mat.Dense
	svd.UTo(&u)
	svd.VTo(&v)
	p := parts{u: new(mat.Dense), v: new(mat.Dense), values: svd.Values(nil)[:n]}
	p.u.Mul(left, u.Slice(0, m.product.Rank, 0, n))
	p.v.Mul(right, v.Slice(0, m.product.Rank, 0, n))
	return p
}

// orthonormal replaces the columns of a tall matrix by an orthonormal basis of them, and returns R of the QR decomposition.
func orthonormal(a *mat.Dense) *mat.Dense {
	raw := a.RawMatrix()
	tau, size := make([]float64, raw.Cols), make([]float64, 1)
	lapack64.Geqrf(raw, tau, size, -1)
	work := make([]float64, int(size[0])+raw.Cols)
	lapack64.Geqrf(raw, tau, work, len(work))
	r := mat.NewDense(raw.Cols, raw.Cols, nil)
	for i := range raw.Cols {
		for j := i; j < raw.Cols; j++ {
			r.Set(i, j, a.At(i, j))
		}
	}
	lapack64.Orgqr(raw, tau, size, -1)
	work = make([]float64, int(size[0])+raw.Cols)
	lapack64.Orgqr(raw, tau, work, len(work))
	return r
}

// eigen is the eigenvalues of g, rising, and if asked their vectors as columns.
func eigen(m Matrix, g *mat.SymDense, vectors bool) ([]float64, *mat.Dense, error) {
	var e mat.EigenSym
	if !e.Factorize(g, vectors) {
		return nil, nil, fault.New(fault.Numeric, "decompose", m.Name, "the eigenvalues of its %d × %d matrix do not converge", m.Rows, m.Cols)
	}
	if !vectors {
		return e.Values(nil), nil, nil
	}
	var v mat.Dense
	e.VectorsTo(&v)
	return e.Values(nil), &v, nil
}

// roots are the square roots of rising eigenvalues, falling.
func roots(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[len(values)-1-i] = math.Sqrt(math.Max(v, 0))
	}
	return out
}
