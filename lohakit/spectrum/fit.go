package spectrum

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Parameters of the fit.
const (
	sweeps  = 60
	trial   = 12 // sweeps from each of several starts, the best of which goes on
	starts  = 4
	settled = 1e-4  // stop when a sweep improves the error by less than this share
	ridge   = 1e-10 // keeps the small systems solvable, relative to their diagonal
	ripple  = 0.3   // deviation of the second product's start around 1
)

// FitLoHa writes differences as LoHas of the given dims: (w1_a·w1_b)∘(w2_a·w2_b), fitted to each layer by least squares, one factor at a
// time, from a few starts. Unlike a truncated singular value decomposition the fit is seldom the best there is; Part.Error says
// how good it is, after rounding to F16. convDim 0 leaves larger convolutions out. Part.Share is 1 − Error². To make a LoHa
// smaller, ResizeLoHa is better: it starts from the LoHa's own factors.
func FitLoHa(d Differences, dim, convDim int) ([]checkpoint.Tensor, []Part, error) {
	return fitAll(d, dim, convDim, func(Matrix) (first, second *Matrix, err error) { return nil, nil, nil })
}

// fitAll fits every layer, from the two products that of returns where there are any.
func fitAll(d Differences, dim, convDim int, of func(m Matrix) (first, second *Matrix, err error)) ([]checkpoint.Tensor, []Part, error) {
	if dim < 1 || convDim < 0 {
		return nil, nil, fault.New(fault.Invalid, "fit LoHa", "Dim", "%d, ConvDim %d", dim, convDim).Fix("use 8 and 4")
	}
	var tensors []checkpoint.Tensor
	var parts []Part
	err := d(func(m Matrix) error {
		rank := dim
		if spatial(m) {
			rank = convDim
		}
		if rank == 0 || largest(m) == 0 {
			return nil
		}
		rank = min(rank, m.Rows, m.Cols)
		first, second, err := of(m)
		if err != nil {
			return err
		}
		f := fitHadamard(m, rank, first, second)
		var list []checkpoint.Tensor
		for i, suffix := range []string{"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"} {
			shape := []int{m.Rows, rank}
			values := f[i]
			if i%2 == 1 {
				shape, values = []int{rank, m.Cols}, transposed(f[i], m.Cols, rank)
			}
			t, err := checkpoint.FromFloats(m.Key+"."+suffix, checkpoint.F16, shape, singles(values))
			if err != nil {
				return err
			}
			list = append(list, t)
		}
		alpha, err := checkpoint.FromFloats(m.Key+".alpha", checkpoint.F16, nil, []float32{float32(rank)})
		if err != nil {
			return err
		}
		e, err := missedLoHa(m, rank, list)
		if err != nil {
			return err
		}
		tensors = append(append(tensors, list...), alpha)
		parts = append(parts, Part{Name: m.Name, Rank: rank, Share: math.Max(0, 1-e*e), Error: e})
		return nil
	})
	return tensors, parts, err
}

// factors are w1_a, w1_bᵀ, w2_a and w2_bᵀ, each with rank columns.
type factors [4][]float64

// fitHadamard fits factors to m: from the truncated products of a given LoHa, or from the best of some random starts.
func fitHadamard(m Matrix, rank int, first, second *Matrix) factors {
	data, across := doubles(m.Data), transposed(doubles(m.Data), m.Rows, m.Cols)
	improve := func(f factors, n int) float64 {
		last := math.Inf(1)
		for range n {
			for i := 0; i < 4; i += 2 {
				other := 2 - i
				solve(f[i], f[i+1], f[other], f[other+1], data, m.Rows, m.Cols, rank)
				solve(f[i+1], f[i], f[other+1], f[other], across, m.Cols, m.Rows, rank)
			}
			e := residual(f, data, m.Rows, m.Cols, rank)
			if e > last*(1-settled) {
				return e
			}
			last = e
		}
		return last
	}
	if first != nil {
		var f factors
		f[0], f[1] = halves(*first, rank)
		f[2], f[3] = halves(*second, rank)
		improve(f, sweeps)
		return f
	}
	var best factors
	least := math.Inf(1)
	rng := rand.New(rand.NewPCG(uint64(m.Rows), uint64(m.Cols)))
	for range starts {
		var f factors
		f[0], f[1] = halves(m, rank)
		f[2], f[3] = ripples(m.Rows, rank, rng), ripples(m.Cols, rank, rng)
		if e := improve(f, trial); e < least {
			best, least = f, e
		}
	}
	improve(best, sweeps)
	return best
}

// halves is the two sides of m truncated to rank, the singular values shared evenly.
func halves(m Matrix, rank int) (left, right []float64) {
	u, sigma, v := leadingFactors(m, rank, passes)
	left, right = make([]float64, m.Rows*rank), make([]float64, m.Cols*rank)
	for k := range rank {
		root := math.Sqrt(sigma[k])
		for i := range m.Rows {
			left[i*rank+k] = root * u.At(i, k)
		}
		for j := range m.Cols {
			right[j*rank+k] = root * v.At(j, k)
		}
	}
	return left, right
}

// ripples is a side of the second product's start: its first column is 1, the others small, and noise on all.
func ripples(n, rank int, rng *rand.Rand) []float64 {
	out := make([]float64, n*rank)
	for i := range out {
		out[i] = ripple * rng.NormFloat64()
		if i%rank == 0 {
			out[i]++
		}
	}
	return out
}

// solve sets each row of a to the least-squares solution of (a·bᵀ)∘(p·qᵀ) = data: the rows do not depend on each other.
func solve(a, b, p, q, data []float64, rows, cols, rank int) {
	inParallel(rows, func(i int) {
		normal, right := mat.NewSymDense(rank, nil), mat.NewVecDense(rank, nil)
		for j := range cols {
			weight := dot(p[i*rank:(i+1)*rank], q[j*rank:(j+1)*rank])
			bj := b[j*rank : (j+1)*rank]
			for k, bk := range bj {
				right.SetVec(k, right.AtVec(k)+weight*bk*data[i*cols+j])
				for l := k; l < rank; l++ {
					normal.SetSym(k, l, normal.At(k, l)+weight*weight*bk*bj[l])
				}
			}
		}
		trace := 0.0
		for k := range rank {
			trace += normal.At(k, k)
		}
		for k := range rank {
			normal.SetSym(k, k, normal.At(k, k)+ridge*trace+math.SmallestNonzeroFloat32)
		}
		var c mat.Cholesky
		var x mat.VecDense
		if c.Factorize(normal) && c.SolveVecTo(&x, right) == nil {
			copy(a[i*rank:(i+1)*rank], x.RawVector().Data)
		}
	})
}

// residual is the squared error of the fit.
func residual(f factors, data []float64, rows, cols, rank int) float64 {
	sums := make([]float64, rows)
	inParallel(rows, func(i int) {
		for j := range cols {
			row, col := i*rank, j*rank
			d := data[i*cols+j] - dot(f[0][row:row+rank], f[1][col:col+rank])*dot(f[2][row:row+rank], f[3][col:col+rank])
			sums[i] += d * d
		}
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total
}

// missedLoHa is the norm of m less what the stored factors make, over m's norm.
func missedLoHa(m Matrix, rank int, list []checkpoint.Tensor) (float64, error) {
	var f factors
	for i, t := range list {
		v, err := t.Floats()
		if err != nil {
			return 0, err
		}
		f[i] = doubles(v)
		if i%2 == 1 {
			f[i] = transposed(f[i], rank, m.Cols)
		}
	}
	return math.Sqrt(residual(f, doubles(m.Data), m.Rows, m.Cols, rank) / energy(m)), nil
}

// inParallel calls f for 0 … n−1, on every core.
func inParallel(n int, f func(i int)) {
	var wait sync.WaitGroup
	workers := min(runtime.GOMAXPROCS(0), n)
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wait.Wait()
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// transposed is the rows × cols matrix v with its axes swapped.
func transposed(v []float64, rows, cols int) []float64 {
	out := make([]float64, len(v))
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = v[i*cols+j]
		}
	}
	return out
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}

func singles(v []float64) []float32 {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	return out
}
