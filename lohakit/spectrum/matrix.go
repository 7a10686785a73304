package spectrum

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Matrix is a layer's weight as a matrix: out × in, or out × (in·kh·kw) for a convolution, row by row.
type Matrix struct {
	Name       string // of the layer, its diffusers path
	Key        string // of the layer in adapter files, "lora_unet_…"; "" if it has none
	Shape      []int  // of the weight: [out, in] or [out, in, kh, kw]
	Rows, Cols int

	values  []float32        // nil where only the product is known
	product *adapter.Product // that the matrix is, if its rank is small
}

// NewMatrix is the matrix of values of the given shape: [out, in] or [out, in, kh, kw]. A shape that does not fit the values, one without
// columns, and values that are not finite are faults.
func NewMatrix(name string, values []float32, shape ...int) (Matrix, error) {
	m, err := shaped(name, shape)
	if err != nil {
		return m, err
	}
	if m.Rows*m.Cols != len(values) {
		return m, fault.New(fault.Invalid, "decompose", name, "%d values do not fill the shape %v", len(values), shape)
	}
	if i := slices.IndexFunc(values, func(v float32) bool { return v-v != 0 }); i >= 0 {
		return m, notFinite(name, i, float64(values[i]))
	}
	m.values = values
	return m, nil
}

// ofProduct is the matrix that p makes.
func ofProduct(name string, p *adapter.Product, shape []int) (Matrix, error) {
	m, err := shaped(name, shape)
	if err != nil {
		return m, err
	}
	for _, side := range [][]float64{p.Left, p.Right} {
		if i := slices.IndexFunc(side, func(v float64) bool { return v-v != 0 }); i >= 0 {
			return m, notFinite(name, i, side[i])
		}
	}
	m.product = p
	return m, nil
}

func shaped(name string, shape []int) (Matrix, error) {
	m := Matrix{Name: name, Shape: shape}
	if len(shape) < 2 {
		return m, fault.New(fault.Invalid, "decompose", name, "a tensor of shape %v is no matrix", shape).Fix("choose a linear layer or a convolution")
	}
	m.Rows, m.Cols = shape[0], 1
	for _, d := range shape[1:] {
		m.Cols *= d
	}
	if m.Rows < 1 || m.Cols < 1 {
		return m, fault.New(fault.Invalid, "decompose", name, "the shape %v is empty", shape)
	}
	return m, nil
}

func notFinite(name string, i int, v float64) error {
	return fault.New(fault.Numeric, "decompose", name, "value %d is %v", i, v).Fix("use a checkpoint from before it diverged")
}

// Values are the elements, row by row. They must not be changed.
func (m Matrix) Values() []float32 {
	if m.values != nil {
		return m.values
	}
	left, right := m.sides()
	var out mat.Dense
	out.Mul(left, right)
	return singles(out.RawMatrix().Data)
}

// sides are the factors of the product.
func (m Matrix) sides() (left, right *mat.Dense) {
	p := m.product
	return mat.NewDense(p.Rows, p.Rank, p.Left), mat.NewDense(p.Rank, p.Cols, p.Right)
}

// full is the number of singular values.
func (m Matrix) full() int { return min(m.Rows, m.Cols) }

// spatial reports whether it is of a convolution larger than 1×1.
func (m Matrix) spatial() bool { return len(m.Shape) == 4 && m.Shape[2]*m.Shape[3] > 1 }

// dense is the matrix in double precision.
func (m Matrix) dense() *mat.Dense {
	if m.values != nil {
		return mat.NewDense(m.Rows, m.Cols, doubles(m.values))
	}
	left, right := m.sides()
	var out mat.Dense
	out.Mul(left, right)
	return &out
}

// energy is the squared Frobenius norm, row by row so that rounding does not add up.
func (m Matrix) energy() float64 {
	if m.values == nil { // ‖LR‖² is the sum over the elementwise product of LᵀL and RRᵀ
		left, right := m.sides()
		var l, r mat.Dense
		l.Mul(left.T(), left)
		r.Mul(right, right.T())
		l.MulElem(&l, &r)
		return math.Max(mat.Sum(&l), 0)
	}
	total := 0.0
	for r := range m.Rows {
		sum := 0.0
		for _, v := range m.values[r*m.Cols : (r+1)*m.Cols] {
			sum += float64(v) * float64(v)
		}
		total += sum
	}
	return total
}

// largest is the largest absolute value.
func (m Matrix) largest() float64 {
	most := float32(0)
	for _, v := range m.Values() {
		most = max(most, v, -v)
	}
	return float64(most)
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
