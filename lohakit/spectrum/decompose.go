package spectrum

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"gonum.org/v1/gonum/lapack/lapack64"
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Of computes all singular values of m, from the eigenvalues of the smaller of MMᵀ and MᵀM in double precision. A value is exact to
// 1e-5 of itself down to 5e-6 of the largest; below that, where float32 weights hold only rounding, it is exact to 1e-8 of the largest.
func Of(m Matrix) (*Spectrum, error) {
	if m.left != nil {
		return ofFactors(m), nil
	}
	if s, ok := ofLowRank(m); ok {
		return s, nil
	}
	g, err := gram(m)
	if err != nil {
		return nil, err
	}
	var eigen mat.EigenSym
	if !eigen.Factorize(g, false) {
		return nil, fault.New(fault.Numeric, "decompose", m.Name, "the eigenvalues of its %d × %d matrix do not converge", m.Rows, m.Cols)
	}
	values := eigen.Values(nil)
	s := &Spectrum{Name: m.Name, Rows: m.Rows, Cols: m.Cols, Values: make([]float64, len(values)), Energy: energy(m)}
	for i, v := range values {
		s.Values[len(values)-1-i] = math.Sqrt(math.Max(v, 0))
	}
	return s, nil
}

// Sizes of the first, cheap look at a matrix.
const (
	probe       = 80    // more columns than the rank of the usual adapters: 64 = 8² for LoHa
	probeWorth  = 4     // the full decomposition must be this much larger to be worth a probe
	probeIsRank = 1e-12 // share of the energy outside the probe that is rounding of float32 weights
)

// ofLowRank answers for a large matrix of small rank, as adapters make: its range is found exactly by a few random columns.
func ofLowRank(m Matrix) (*Spectrum, bool) {
	full := min(m.Rows, m.Cols)
	if full < probe*probeWorth {
		return nil, false
	}
	_, values, _ := leadingFactors(m, probe, 0)
	s := newLeading(m, values)
	if s.Missing*s.Missing > probeIsRank*s.Energy {
		return nil, false
	}
	s.Values = append(s.Values, make([]float64, full-len(s.Values))...)
	return s, true
}

// Parameters of Leading: random columns beyond those asked for, and passes over the matrix (Halko, Martinsson and Tropp 2011, algorithm 4.4).
const (
	oversample = 10
	passes     = 3
	exactSide  = 320 // matrices up to this are decomposed in full
)

// Leading computes the n leading singular values of m by a randomized range finder, in time proportional to n instead of the full rank;
// a matrix with a side of up to 320 is decomposed in full. What lies outside the range found is measured, not estimated: Missing² is
// its energy, and no value is below the true one by more than Missing, or above it at all (but for rounding). The same matrix
// gives the same values on every run.
func Leading(m Matrix, n int) (*Spectrum, error) {
	full := min(m.Rows, m.Cols)
	if n < 1 {
		return nil, fault.New(fault.Invalid, "decompose", m.Name, "%d singular values", n).Fix("ask for 1 to %d", full)
	}
	n = min(n, full)
	_, values, _ := leadingFactors(m, n, passes)
	return newLeading(m, values), nil
}

// newLeading is the spectrum of which only the leading values are known.
func newLeading(m Matrix, values []float64) *Spectrum {
	s := &Spectrum{Name: m.Name, Rows: m.Rows, Cols: m.Cols, Values: values, Energy: energy(m)}
	held := 0.0
	for _, v := range values {
		held += v * v
	}
	if len(values) < min(m.Rows, m.Cols) {
		s.Missing = math.Sqrt(math.Max(s.Energy-held, 0))
	}
	return s
}

// leadingFactors is the rank-n decomposition U diag(values) Vᵀ of m: exact for n the full rank, else by the randomized range finder.
func leadingFactors(m Matrix, n, passes int) (u *mat.Dense, values []float64, v *mat.Dense) {
	a := dense(m)
	var tall mat.Matrix = a
	wide := m.Rows < m.Cols
	if wide {
		tall = a.T()
	}
	rows, cols := tall.Dims()
	width := min(n+oversample, cols)
	if cols <= exactSide {
		width = cols
	}
	q := mat.DenseCopyOf(tall)
	if width < cols {
		rng := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
		random := mat.NewDense(cols, width, nil)
		for i := range cols {
			for j := range width {
				random.Set(i, j, rng.NormFloat64())
			}
		}
		q.Reset()
		q.Mul(tall, random)
		for range passes {
			var back mat.Dense
			back.Mul(tall.T(), orthonormal(q))
			q.Mul(tall, orthonormal(&back))
		}
	}
	basis := orthonormal(q)
	var small mat.Dense
	small.Mul(basis.T(), tall) // width × cols
	var svd mat.SVD
	svd.Factorize(&small, mat.SVDThin) // of finite values, which NewMatrix saw to, it converges
	values = svd.Values(nil)[:n]
	var left, right mat.Dense
	svd.UTo(&left)
	svd.VTo(&right)
	u = new(mat.Dense)
	u.Mul(basis, left.Slice(0, left.RawMatrix().Rows, 0, n))
	v = mat.DenseCopyOf(right.Slice(0, cols, 0, n))
	if wide {
		u, v = v, u
	}
	return u, values, v
}

// orthonormal is an orthonormal basis of the columns of a tall matrix, which it overwrites.
func orthonormal(a *mat.Dense) *mat.Dense {
	raw := a.RawMatrix()
	tau, size := make([]float64, raw.Cols), make([]float64, 1)
	lapack64.Geqrf(raw, tau, size, -1)
	work := make([]float64, int(size[0])+raw.Cols)
	lapack64.Geqrf(raw, tau, work, len(work))
	lapack64.Orgqr(raw, tau, size, -1)
	work = make([]float64, int(size[0])+raw.Cols)
	lapack64.Orgqr(raw, tau, work, len(work))
	return a
}

func dense(m Matrix) *mat.Dense {
	return mat.NewDense(m.Rows, m.Cols, doubles(m.Data))
}

// gramProgram is aaᵀ in double precision.
var gramProgram = xla.Compile("gram matrix", func(in []*Node) []*Node {
	a := ConvertDType(in[0], dtypes.Float64)
	return []*Node{Einsum("ik,jk->ij", a, a)}
})

// worthXLA is the multiplications from which the product runs on XLA, which first has to compile it.
const worthXLA = 1 << 29

// gram is the smaller of mmᵀ and mᵀm.
func gram(m Matrix) (*mat.SymDense, error) {
	n := min(m.Rows, m.Cols)
	if m.Rows > m.Cols {
		m = Matrix{Name: m.Name, Rows: m.Cols, Cols: m.Rows, Data: singles(transposed(doubles(m.Data), m.Rows, m.Cols))}
	}
	if n*n*m.Cols < worthXLA {
		a := dense(m)
		var product mat.Dense
		product.Mul(a, a.T())
		return mat.NewSymDense(n, product.RawMatrix().Data), nil
	}
	out, err := gramProgram.Run(tensors.FromFlatDataAndDimensions(m.Data, m.Rows, m.Cols))
	if err != nil {
		return nil, err
	}
	defer out[0].MustFinalizeAll()
	flat, err := tensors.CopyFlatData[float64](out[0])
	if err != nil {
		return nil, fault.New(fault.Other, "decompose", m.Name, "%w", err)
	}
	return mat.NewSymDense(n, flat), nil
}

// energy is the squared Frobenius norm, row by row so that rounding does not add up.
func energy(m Matrix) float64 {
	total := 0.0
	for r := range m.Rows {
		sum := 0.0
		for _, v := range m.Data[r*m.Cols : (r+1)*m.Cols] {
			sum += float64(v) * float64(v)
		}
		total += sum
	}
	return total
}
