package spectrum

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Parameters of the range finder (Halko, Martinsson and Tropp 2011, algorithm 4.4, its passes repeated until they find nothing more).
const (
	oversample = 10    // random columns beyond those asked for
	leastPass  = 2     // over the matrix and its transpose
	mostPass   = 8     // a spectrum that does not fall needs more than any number
	settled    = 1e-6  // share of the energy that a pass must find for another to follow
	rounding   = 1e-13 // share of the largest inner product below which others are nothing
)

// width is how many columns the range of n has: a multiple of 16, so that like ranks share compiled programs.
func width(n int) int { return (n + oversample + 15) / 16 * 16 }

// The programs over A [rows, cols] take X and a small matrix T, and return the product of A, or of its transpose, with XT, and that
// product's inner products, in double precision.
var (
	acrossProgram = rangeProgram("range finder", "ik,kw->iw")
	backProgram   = rangeProgram("range finder, transposed", "ik,iw->kw")
	turnProgram   = xla.Compile("turn of a range", func(in []*Node) []*Node { return []*Node{turn(in[0], in[1])} })
)

func rangeProgram(name, equation string) *xla.Program {
	return xla.Compile(name, func(in []*Node) []*Node {
		y := Einsum(equation, ConvertDType(in[0], dtypes.Float64), turn(in[1], in[2]))
		return []*Node{y, Einsum("iv,iw->vw", y, y)}
	})
}

func turn(x, t *Node) *Node { return Einsum("iv,vw->iw", x, t) }

// findRange finds n leading parts of a large matrix.
func findRange(m Matrix, n int) (parts, error) {
	w := width(n)
	rng := rand.New(rand.NewPCG(uint64(m.Rows), uint64(m.Cols)))
	random := make([]float64, m.Cols*w)
	for i := range random {
		random[i] = rng.NormFloat64()
	}
	a := tensors.FromFlatDataAndDimensions(m.Values(), m.Rows, m.Cols)
	defer a.MustFinalizeAll()
	z := tensors.FromFlatDataAndDimensions(random, m.Cols, w)
	basis := mat.NewDense(w, w, nil)
	for i := range w {
		basis.Set(i, i, 1)
	}
	total, before := m.energy(), 0.0
	for pass := 1; ; pass++ {
		y, g, err := step(acrossProgram, a, z, basis)
		z.MustFinalizeAll()
		if err != nil {
			return parts{}, err
		}
		orthonormal, err := whiten(m, g)
		if err != nil {
			return parts{}, err
		}
		if z, g, err = step(backProgram, a, y, orthonormal); err != nil {
			return parts{}, err
		}
		// z = Aᵀ·Q for the orthonormal Q = y·orthonormal: its singular values are those of A within that range
		var vectors *mat.Dense
		values, vectors, err := eigen(m, g, true)
		if err != nil {
			return parts{}, err
		}
		sigma, held := roots(values)[:n], 0.0
		for _, v := range sigma {
			held += v * v
		}
		if pass >= leastPass && (held-before < settled*total || pass == mostPass) {
			return finish(m, y, z, orthonormal, vectors, sigma)
		}
		before = held
		y.MustFinalizeAll()
		if basis, err = whiten(m, g); err != nil {
			return parts{}, err
		}
	}
}

// step runs a program and reads the inner products.
func step(p *xla.Program, a, x *tensors.Tensor, t *mat.Dense) (*tensors.Tensor, *mat.SymDense, error) {
	w, _ := t.Dims()
	out, err := p.Run(a, x, tensors.FromFlatDataAndDimensions(t.RawMatrix().Data, w, w))
	if err != nil {
		return nil, nil, err
	}
	defer out[1].MustFinalizeAll()
	flat, err := tensors.CopyFlatData[float64](out[1])
	if err != nil {
		return nil, nil, fault.New(fault.Other, "decompose", "", "%w", err)
	}
	return out[0], mat.NewSymDense(w, flat), nil
}

// whiten is the matrix that makes columns with the inner products g orthonormal. Directions that hold only rounding become 0.
func whiten(m Matrix, g *mat.SymDense) (*mat.Dense, error) {
	values, vectors, err := eigen(m, g, true)
	if err != nil {
		return nil, err
	}
	w := len(values)
	for k, v := range values {
		scale := 0.0
		if v > rounding*values[w-1] {
			scale = 1 / math.Sqrt(v)
		}
		for i := range w {
			vectors.Set(i, k, vectors.At(i, k)*scale)
		}
	}
	return vectors, nil
}

// finish turns the range into singular vectors: u = y·orthonormal·vectors, v = z·vectors/σ.
func finish(m Matrix, y, z *tensors.Tensor, orthonormal, vectors *mat.Dense, sigma []float64) (parts, error) {
	w, _ := orthonormal.Dims()
	n := len(sigma)
	last := mat.NewDense(w, n, nil) // the n leading vectors, falling
	for i := range w {
		for k := range n {
			last.Set(i, k, vectors.At(i, w-1-k))
		}
	}
	var left mat.Dense
	left.Mul(orthonormal, last)
	unit(last, sigma)
	u, err := turned(y, &left)
	if err != nil {
		return parts{}, err
	}
	v, err := turned(z, last)
	if err != nil {
		return parts{}, err
	}
	return parts{u: u, v: v, values: sigma}, nil
}

// turned is x·t on the host. It frees x.
func turned(x *tensors.Tensor, t *mat.Dense) (*mat.Dense, error) {
	defer x.MustFinalizeAll()
	w, n := t.Dims()
	rows := x.Shape().Dimensions[0]
	out, err := turnProgram.Run(x, tensors.FromFlatDataAndDimensions(t.RawMatrix().Data, w, n))
	if err != nil {
		return nil, err
	}
	defer out[0].MustFinalizeAll()
	flat, err := tensors.CopyFlatData[float64](out[0])
	if err != nil {
		return nil, fault.New(fault.Other, "decompose", "", "%w", err)
	}
	return mat.NewDense(rows, n, flat), nil
}

// gramPrograms are aaᵀ and aᵀa in double precision.
var (
	rowsProgram = gramProgram("inner products of rows", "ik,jk->ij")
	colsProgram = gramProgram("inner products of columns", "ki,kj->ij")
)

func gramProgram(name, equation string) *xla.Program {
	return xla.Compile(name, func(in []*Node) []*Node {
		a := ConvertDType(in[0], dtypes.Float64)
		return []*Node{Einsum(equation, a, a)}
	})
}

// worthXLA is the multiplications from which the product runs on XLA, which first has to compile it.
const worthXLA = 1 << 28

// gram is the smaller of mmᵀ and mᵀm.
func gram(m Matrix) (*mat.SymDense, error) {
	n := m.full()
	if n*m.Rows*m.Cols < worthXLA {
		a := m.dense()
		var product mat.Dense
		if m.Rows <= m.Cols {
			product.Mul(a, a.T())
		} else {
			product.Mul(a.T(), a)
		}
		return mat.NewSymDense(n, product.RawMatrix().Data), nil
	}
	program := rowsProgram
	if m.Rows > m.Cols {
		program = colsProgram
	}
	a := tensors.FromFlatDataAndDimensions(m.Values(), m.Rows, m.Cols)
	defer a.MustFinalizeAll()
	out, err := program.Run(a)
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
