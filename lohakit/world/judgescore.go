package world

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Share is how many of N images something is true of.
type Share struct{ Hits, N int }

// Rate is Hits/N; 0 of none is 0.
func (s Share) Rate() float64 {
	if s.N == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.N)
}

// Interval is Wilson's 95 % confidence interval of the rate (Wilson 1927); of no images, all of 0 … 1.
func (s Share) Interval() (low, high float64) {
	if s.N == 0 {
		return 0, 1
	}
	const z = 1.959964
	n, p := float64(s.N), s.Rate()
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return math.Max(0, middle-half), math.Min(1, middle+half)
}

// String prints rate, interval and number: "0.83 (0.74–0.89, n = 100)".
func (s Share) String() string {
	low, high := s.Interval()
	return fmt.Sprintf("%.2f (%.2f–%.2f, n = %d)", s.Rate(), low, high, s.N)
}

// Agree counts the verdicts that give the wanted answer: the same for all, or one for each. Not being sure is not agreeing.
func Agree(verdicts []Verdict, q Question, want ...string) Share {
	s := Share{N: len(verdicts)}
	for i, v := range verdicts {
		if len(want) > 0 && (q == AskDrawn || v.Drawn()) && v.P(q, want[min(i, len(want)-1)]) >= 0.5 {
			s.Hits++
		}
	}
	return s
}

// Fidelity is the share of images that show the character, whatever the outfit.
func Fidelity(verdicts []Verdict, name string) Share { return Agree(verdicts, AskCharacter, name) }

// StyleScore is the share of images in the style, told from every other style the judge knows.
func StyleScore(verdicts []Verdict, style string) Share { return Agree(verdicts, AskStyle, style) }

// Distance is the Fréchet distance between two sets of images in the judge's features: 0 for the same distribution, growing with the difference of
// means and covariances (Heusel et al. 2017, with this judge instead of Inception). It needs two images a set, and is biased upwards
// for small sets: compare sets of equal size, 100 images or more.
func Distance(a, b []Verdict) (float64, error) {
	if len(a) < 2 || len(b) < 2 {
		return 0, fault.New(fault.Invalid, "distance", "", "sets of %d and %d images have no covariance", len(a), len(b)).Fix("use 100 images or more")
	}
	meanA, covA := moments(a)
	meanB, covB := moments(b)
	d := 0.0
	for i := range meanA {
		d += (meanA[i] - meanB[i]) * (meanA[i] - meanB[i])
	}
	// tr √(A·B) is the sum of the roots of the eigenvalues of √A·B·√A, which is symmetric.
	root := squareRoot(covA)
	var product mat.Dense
	product.Product(root, covB, root)
	n := len(meanA)
	symmetric := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			symmetric.SetSym(i, j, (product.At(i, j)+product.At(j, i))/2)
		}
	}
	var eigen mat.EigenSym
	eigen.Factorize(symmetric, false)
	d += mat.Trace(covA) + mat.Trace(covB)
	for _, v := range eigen.Values(nil) {
		d -= 2 * math.Sqrt(math.Max(v, 0))
	}
	return math.Max(d, 0), nil
}

func moments(verdicts []Verdict) ([]float64, *mat.SymDense) {
	data := mat.NewDense(len(verdicts), features, nil)
	for i, v := range verdicts {
		for j, f := range v.Features {
			data.Set(i, j, float64(f))
		}
	}
	mean := make([]float64, features)
	for j := range mean {
		mean[j] = stat.Mean(mat.Col(nil, j, data), nil)
	}
	var cov mat.SymDense
	stat.CovarianceMatrix(&cov, data, nil)
	return mean, &cov
}

func squareRoot(m *mat.SymDense) *mat.Dense {
	var eigen mat.EigenSym
	eigen.Factorize(m, true)
	var q mat.Dense
	eigen.VectorsTo(&q)
	values := eigen.Values(nil)
	for i, v := range values {
		values[i] = math.Sqrt(math.Max(v, 0))
	}
	var root mat.Dense
	root.Product(&q, mat.NewDiagDense(len(values), values), q.T())
	return &root
}
