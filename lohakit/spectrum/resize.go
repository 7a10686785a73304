package spectrum

import (
	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/sd"
)

// ResizeLoHa makes a LoHa for m smaller: both products of each layer are truncated to the new dim and then fitted together to the true
// difference. At its own dim nothing is lost. Tucker convolutions become plain ones; layers of other kinds are fitted as by FitLoHa.
// LoRA and LoCon are resized by Extract, exactly.
func ResizeLoHa(a *adapter.Adapter, m *sd.Model, dim, convDim int, report Progress) (*adapter.Adapter, []Part, error) {
	return fitAll(OfAdapter(a, m), dim, convDim, report, func(d Matrix) (first, second *Matrix, err error) {
		p, q, err := a.Halves(d.Key, d.Shape)
		if p == nil || err != nil {
			return nil, nil, err
		}
		half := func(p *adapter.Product) *Matrix {
			return &Matrix{Name: d.Name, Shape: d.Shape, Rows: d.Rows, Cols: d.Cols, product: p}
		}
		return half(p), half(q), nil
	})
}
