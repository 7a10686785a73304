package spectrum

import (
	"slices"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/fault"
)

// Sum is the weighted sum of differences layer by layer, such as of several adapters for one model: what they do together, or with a
// negative weight what tells them apart. Layers that only some have are taken from those. Products of small rank stay products.
func Sum(factors []float64, of ...Differences) (Differences, error) {
	if len(factors) != len(of) {
		return nil, fault.New(fault.Invalid, "add differences", "", "%d weights for %d differences", len(factors), len(of))
	}
	type term struct {
		Difference
		factor float64
	}
	var order []string
	terms := map[string][]term{}
	for i, list := range of {
		for _, d := range list {
			same := terms[d.Name]
			if same == nil {
				order = append(order, d.Name)
			} else if !slices.Equal(same[0].Shape, d.Shape) {
				return nil, fault.New(fault.Invalid, "add differences", d.Name, "shapes %v and %v", same[0].Shape, d.Shape).Fix("use adapters for models of one size")
			}
			terms[d.Name] = append(same, term{d, factors[i]})
		}
	}
	var out Differences
	for _, name := range order {
		d := terms[name][0].Difference
		d.read = func() (Matrix, error) {
			var all []Matrix
			var factors []float64
			for _, t := range terms[name] {
				m, err := t.read()
				if err != nil {
					return m, err
				}
				all, factors = append(all, m), append(factors, t.factor)
			}
			return add(factors, all)
		}
		out = append(out, d)
	}
	return out, nil
}

// nothingLeft is the share of the energy of the terms below which the sum of products is rounding: what differs by as little as one part in
// three million, two float32 numbers do not tell.
const nothingLeft = 1e-13

// add is the weighted sum of matrices of one shape.
func add(factors []float64, all []Matrix) (Matrix, error) {
	first := all[0]
	rank := 0
	for _, m := range all {
		if m.product == nil {
			rank = first.full()
			break
		}
		rank += m.product.Rank
	}
	if 2*rank <= first.full() {
		sum := &adapter.Product{Rows: first.Rows, Rank: rank, Cols: first.Cols, Left: make([]float64, first.Rows*rank)}
		at, terms := 0, 0.0
		for i, m := range all {
			terms += factors[i] * factors[i] * m.energy()
			for r := range first.Rows {
				for k := range m.product.Rank {
					sum.Left[r*rank+at+k] = factors[i] * m.product.Left[r*m.product.Rank+k]
				}
			}
			sum.Right = append(sum.Right, m.product.Right...)
			at += m.product.Rank
		}
		m, err := ofProduct(first.Name, sum, first.Shape)
		if err == nil && m.energy() < nothingLeft*terms {
			clear(sum.Left)
		}
		return m, err
	}
	total := make([]float64, first.Rows*first.Cols)
	for i, m := range all {
		for j, v := range m.Values() {
			total[j] += factors[i] * float64(v)
		}
	}
	return NewMatrix(first.Name, singles(total), first.Shape...)
}
