package adapter

import (
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Product is a matrix as the product of two thin ones: Left [Rows, Rank] times Right [Rank, Cols], each row by row.
type Product struct {
	Rows, Rank, Cols int
	Left, Right      []float64
}

// Product is the difference of a layer, called as in Names, as a product of rank far below its sides, in double precision and without
// computing the difference: of LoRA and LoCon of rank dim, of LoHa of rank dim², row by row and column by column the products of its four
// factors'. A convolution is flattened to [out, in·kh·kw]. nil stands for a layer whose kind makes no such product, or whose rank
// would exceed half of the smaller side. shape is the base weight's; one that does not fit is a fault of kind Invalid.
func (a *Adapter) Product(layer string, shape []int) (*Product, error) {
	m, err := a.fitting(layer, shape)
	if err != nil || m.has["dora_scale"] != nil {
		return nil, err
	}
	var p *Product
	switch m.form.(type) {
	case lohaForm:
		first, second, err := a.Halves(layer, shape)
		if err != nil {
			return nil, err
		}
		if rank := first.Rank * second.Rank; 2*rank > min(first.Rows, first.Cols) {
			return nil, nil
		}
		p = first.hadamard(second)
		p.multiply(m.scale(m.has["hada_w1_b"][0]))
	case loconForm:
		if p, err = a.product(m, shape, "lora_up.weight", "lora_down.weight", "lora_mid.weight", false); err != nil {
			return nil, err
		}
		if 2*p.Rank > min(p.Rows, p.Cols) {
			return nil, nil
		}
		p.multiply(m.scale(m.has["lora_down.weight"][0]))
	}
	return p, nil
}

// Halves are the two products whose elementwise product, times alpha over dim, is the difference of a LoHa's layer; nil for other kinds.
func (a *Adapter) Halves(layer string, shape []int) (first, second *Product, err error) {
	m, err := a.fitting(layer, shape)
	if err != nil || m.form != (form)(lohaForm{}) {
		return nil, nil, err
	}
	core := "hada_t2"
	if m.compat == CompatLyCORIS012 {
		core = "hada_t1"
	}
	if first, err = a.product(m, shape, "hada_w1_a", "hada_w1_b", "hada_t1", true); err != nil {
		return nil, nil, err
	}
	second, err = a.product(m, shape, "hada_w2_a", "hada_w2_b", core, true)
	return first, second, err
}

// fitting is the module of a layer whose weight has the shape.
func (a *Adapter) fitting(layer string, shape []int) (*module, error) {
	m := a.modules[layer]
	if m == nil {
		return nil, checkpoint.Unknown("adapt", "adapted layer", layer, a.order)
	}
	if !m.fits(Layer{Name: layer, Shape: shape}) {
		return nil, fault.New(fault.Invalid, "adapt", layer, "the adapter's tensors %v do not make its shape %v", m.has, shape).
			Fix("use the adapter with models of the size it was made for")
	}
	return m, nil
}

// product is left·right, or in Tucker form Σ_ij core[i,j,…]·left[i,p]·right[j,q]. crossed tells that a Tucker left is [r,out].
func (a *Adapter) product(m *module, shape []int, left, right, core string, crossed bool) (*Product, error) {
	l, err := a.values(m.name + "." + left)
	if err != nil {
		return nil, err
	}
	r, err := a.values(m.name + "." + right)
	if err != nil {
		return nil, err
	}
	rows, cols := Layer{Shape: shape}.flat()
	p := &Product{Rows: rows, Rank: len(l) / rows, Cols: cols, Left: doubles(l), Right: doubles(r)}
	if m.has[core] == nil {
		return p, nil
	}
	t, err := a.values(m.name + "." + core)
	if err != nil {
		return nil, err
	}
	if crossed {
		for i := range p.Rank {
			for o := range rows {
				p.Left[o*p.Rank+i] = float64(l[i*rows+o])
			}
		}
	}
	in := shape[1]
	inner, area := len(r)/in, cols/in
	p.Right = make([]float64, p.Rank*cols)
	for i := range p.Rank {
		for j := range inner {
			for q := range in {
				for k := range area {
					p.Right[(i*in+q)*area+k] += float64(t[(i*inner+j)*area+k]) * float64(r[j*in+q])
				}
			}
		}
	}
	return p, nil
}

// hadamard is the elementwise product of two products as one.
func (p *Product) hadamard(q *Product) *Product {
	rank := p.Rank * q.Rank
	out := &Product{Rows: p.Rows, Rank: rank, Cols: p.Cols, Left: make([]float64, p.Rows*rank), Right: make([]float64, rank*p.Cols)}
	for o := range p.Rows {
		for i := range p.Rank {
			for j := range q.Rank {
				out.Left[o*rank+i*q.Rank+j] = p.Left[o*p.Rank+i] * q.Left[o*q.Rank+j]
			}
		}
	}
	for i := range p.Rank {
		for j := range q.Rank {
			to, x, y := out.Right[(i*q.Rank+j)*p.Cols:], p.Right[i*p.Cols:(i+1)*p.Cols], q.Right[j*p.Cols:(j+1)*p.Cols]
			for c := range x {
				to[c] = x[c] * y[c]
			}
		}
	}
	return out
}

func (p *Product) multiply(scale float64) {
	for i := range p.Left {
		p.Left[i] *= scale
	}
}

func doubles(v []float32) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x)
	}
	return out
}
