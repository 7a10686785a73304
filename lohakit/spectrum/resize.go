package spectrum

import (
	"gonum.org/v1/gonum/mat"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// ResizeLoHa makes a LoHa for m smaller: both products of each layer are truncated to the new dim and then fitted together to the true
// difference. At its own dim nothing is lost. Tucker convolutions become plain ones; layers of other kinds are fitted as by FitLoHa.
func ResizeLoHa(a *adapter.Adapter, m *sd.Model, dim, convDim int) ([]checkpoint.Tensor, []Part, error) {
	return fitAll(OfAdapter(a, m, ""), dim, convDim, func(d Matrix) (first, second *Matrix, err error) {
		if a.Params.Shape(d.Key+".hada_w1_a") == nil {
			return nil, nil, nil
		}
		p1, err := side(a, d, "1")
		if err != nil {
			return nil, nil, err
		}
		p2, err := side(a, d, "2")
		if err != nil {
			return nil, nil, err
		}
		return p1.matrix(d), p2.matrix(d), nil
	})
}

// matrix is the product, in the shape of d.
func (p pair) matrix(d Matrix) *Matrix {
	var product mat.Dense
	product.Mul(p.left, p.right)
	return &Matrix{Name: d.Name, Shape: d.Shape, Rows: d.Rows, Cols: d.Cols, Data: singles(product.RawMatrix().Data)}
}
