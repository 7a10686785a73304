package spectrum

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/chart"
	"github.com/lohakit/notebook/lohakit/fault"
)

func random(rows, cols int, seed uint64) Matrix {
	rng := rand.New(rand.NewPCG(seed, 1))
	m := Matrix{Name: "random", Rows: rows, Cols: cols, values: make([]float32, rows*cols)}
	for i := range m.values {
		m.values[i] = float32(rng.NormFloat64())
	}
	return m
}

// product is a matrix of the given rank whose singular values fall by decay.
func product(rows, cols, rank int, decay float64, seed uint64) Matrix {
	a, b := random(rows, rank, seed).dense(), random(rank, cols, seed+1).dense()
	for j := range rank {
		for i := range rows {
			a.Set(i, j, a.At(i, j)*math.Pow(decay, float64(j)))
		}
	}
	var p mat.Dense
	p.Mul(a, b)
	m := Matrix{Name: "product", Rows: rows, Cols: cols, values: make([]float32, rows*cols)}
	for i, v := range p.RawMatrix().Data {
		m.values[i] = float32(v)
	}
	return m
}

// thinProduct is a matrix known by its factors.
func thinProduct(rows, cols, rank int, seed uint64) Matrix {
	l, r := random(rows, rank, seed), random(rank, cols, seed+100)
	return Matrix{Name: "product", Shape: []int{rows, cols}, Rows: rows, Cols: cols,
		product: &adapter.Product{Rows: rows, Rank: rank, Cols: cols, Left: doubles(l.values), Right: doubles(r.values)}}
}

// reference is LAPACK's algorithm for singular values, which works on the matrix itself.
func reference(m Matrix) []float64 {
	var svd mat.SVD
	svd.Factorize(m.dense(), mat.SVDNone)
	return svd.Values(nil)
}

// TestOfAgreesWithSVD compares with the full decomposition, tall, wide, and of small rank.
func TestOfAgreesWithSVD(t *testing.T) {
	for name, m := range map[string]Matrix{
		"wide": random(40, 90, 1), "tall": random(70, 30, 1), "one row": random(1, 9, 1), "one": random(1, 1, 1),
		"falling": product(60, 80, 60, 0.85, 2), "rank 64": product(400, 360, 64, 0.95, 2),
		"factors": thinProduct(20, 30, 6, 1), "factors of all ranks": thinProduct(20, 30, 20, 1), "factors of more ranks": thinProduct(8, 30, 20, 1),
	} {
		want := reference(m)
		s, err := Of(m)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Values) != len(want) {
			t.Errorf("%s: %d values, want %d", name, len(s.Values), len(want))
			continue
		}
		for i := range want {
			tolerance := math.Max(1e-5*want[i], 1e-7*want[0])
			if want[i] > 5e-6*want[0] {
				tolerance = 1e-5 * want[i]
			}
			if math.Abs(s.Values[i]-want[i]) > tolerance {
				t.Errorf("%s: value %d is %v, want %v", name, i, s.Values[i], want[i])
				break
			}
		}
	}
}

// TestLeadingIsWithinItsBound checks the randomized decomposition against the full one and against what it says of itself.
func TestLeadingIsWithinItsBound(t *testing.T) {
	for name, m := range map[string]Matrix{"flat": random(300, 280, 4), "falling": product(260, 330, 200, 0.9, 2),
		"steep": product(300, 290, 60, 0.6, 2), "of small rank": product(300, 290, 5, 0.9, 2), "small": random(40, 30, 3)} {
		want := reference(m)
		s, err := Leading(m, 20)
		if err != nil {
			t.Fatal(err)
		}
		outside := 0.0
		for _, v := range want[20:] {
			outside += v * v
		}
		if s.Missing < math.Sqrt(outside)*(1-1e-6) {
			t.Errorf("%s: Missing is %v, but %v lies outside", name, s.Missing, math.Sqrt(outside))
		}
		for i, v := range s.Values {
			if v > want[i]+1e-7*want[0] || v < want[i]-s.Missing*(1+1e-9) {
				t.Errorf("%s: value %d is %v, the true one %v, the bound %v", name, i, v, want[i], s.Missing)
			}
			if name != "flat" && math.Abs(v-want[i]) > math.Max(1e-5*want[i], 1e-7*want[0]) {
				t.Errorf("%s: value %d is %v, want %v", name, i, v, want[i])
			}
		}
	}
}

// TestDecomposeIsTheBestApproximation holds the parts against the full decomposition: no other matrix of the rank is nearer, and the range
// finder comes within a thousandth of that.
func TestDecomposeIsTheBestApproximation(t *testing.T) {
	for name, m := range map[string]Matrix{"range, wide": product(260, 330, 200, 0.95, 2), "range, tall": product(330, 260, 200, 0.95, 2),
		"exact": product(50, 40, 40, 0.9, 2), "exact, tall": product(40, 50, 40, 0.9, 2), "product": thinProduct(60, 50, 12, 3)} {
		const rank = 8
		p, err := decompose(m, rank)
		if err != nil {
			t.Fatal(err)
		}
		best := 0.0
		for _, v := range reference(m)[rank:] {
			best += v * v
		}
		var made, off mat.Dense
		made.Mul(p.u, mat.NewDiagDense(rank, p.values))
		off.Mul(&made, p.v.T())
		off.Sub(m.dense(), &off)
		if got := mat.Norm(&off, 2); got > 1.001*math.Sqrt(best)+1e-6 {
			t.Errorf("%s: off by %v, the best is %v", name, got, math.Sqrt(best))
		}
		for what, side := range map[string]*mat.Dense{"u": p.u, "v": p.v} {
			var inner mat.Dense
			inner.Mul(side.T(), side)
			for i := range rank {
				for j := range rank {
					if want := map[bool]float64{true: 1}[i == j]; math.Abs(inner.At(i, j)-want) > 1e-6 {
						t.Fatalf("%s: columns %d and %d of %s have the product %v", name, i, j, what, inner.At(i, j))
					}
				}
			}
		}
	}
}

// TestMeasures checks the ranks of matrices whose singular values are known.
func TestMeasures(t *testing.T) {
	s := &Spectrum{Rows: 10, Cols: 5, Values: []float64{2, 2, 2, 2, 0}, Energy: 16}
	for what, v := range map[string][2]float64{
		"effective": {s.Effective(), 4}, "stable": {s.Stable(), 4}, "half": {float64(s.RankAt(0.5)), 2}, "95 %": {float64(s.RankAt(0.95)), 4},
		"all": {float64(s.RankAt(1)), 4}, "share of 1": {s.Share(1), 0.25}, "share of 64": {s.Share(64), 1}, "norm": {s.Norm(), 4},
		"last of cumulative": {s.Cumulative()[4], 1},
	} {
		if math.Abs(v[0]-v[1]) > 1e-12 {
			t.Errorf("%s is %v, want %v", what, v[0], v[1])
		}
	}
	zero, err := Of(Matrix{Rows: 3, Cols: 3, values: make([]float32, 9)})
	if err != nil || zero.RankAt(0.9) != 0 || zero.Effective() != 0 || zero.Stable() != 0 || zero.Share(1) != 1 {
		t.Errorf("the zero matrix: %+v, %v", zero, err)
	}
	if _, err := Plot(chart.Look{}, zero); !fault.Is(err, fault.Invalid) {
		t.Errorf("a plot of nothing: %v", err)
	}
}

func TestNewMatrixRefuses(t *testing.T) {
	nan := float32(math.NaN())
	for name, err := range map[string]error{
		"vector": second(NewMatrix("x", []float32{1}, 1)), "shape": second(NewMatrix("x", []float32{1}, 2, 2)),
		"empty": second(NewMatrix("x", nil, 0, 3)), "negative": second(NewMatrix("x", []float32{1}, -1, -1)),
	} {
		if !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := second(NewMatrix("x", []float32{1, nan}, 1, 2)); !fault.Is(err, fault.Numeric) {
		t.Errorf("NaN: %v", err)
	}
	if _, err := Leading(random(3, 3, 1), 0); !fault.Is(err, fault.Invalid) {
		t.Errorf("no values: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// ExampleOf decomposes a matrix of rank 1.
func ExampleOf() {
	m, err := NewMatrix("mid_block.attentions.0.proj_in", []float32{3, 0, 0, 4, 0, 0}, 2, 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := Of(m)
	fmt.Printf("%.2f, 90 %% in %d, stable rank %.1f, %v\n", s.Values, s.RankAt(0.9), s.Stable(), err)
	// Output: [5.00 0.00], 90 % in 1, stable rank 1.0, <nil>
}

// FuzzOf decomposes any small matrix.
func FuzzOf(f *testing.F) {
	f.Add(float32(1), float32(2), float32(-3), float32(0), float32(1e-30), float32(3e38))
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g float32) {
		m, err := NewMatrix("x", []float32{a, b, c, d, e, g}, 2, 3)
		if err != nil {
			return
		}
		s, err := Of(m)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, v := range s.Values {
			sum += v * v
		}
		if math.Abs(sum-s.Energy) > 1e-9*s.Energy {
			t.Fatalf("values %v have energy %v, the matrix %v", s.Values, sum, s.Energy)
		}
		if _, err := Leading(m, 1); err != nil {
			t.Fatal(err)
		}
	})
}
