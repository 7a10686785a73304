package sd

import (
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/xla"
)

// tolerance is the largest relative error (length of the difference over length of the reference) allowed of float32 outputs
// and gradients. The two programs round sums of up to some thousand products differently, 1e-6 or so each; a wrong epsilon,
// activation or padding shows from 1e-3 up.
const tolerance = 1e-4

// fixture reads a recording from testdata: the tensors under their names, and those named prefix+… as Params under the rest.
func fixture(t testing.TB, name, prefix string) (recorded map[string]*tensors.Tensor, weights *Params) {
	t.Helper()
	f, err := checkpoint.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	recorded, weights = map[string]*tensors.Tensor{}, NewParams()
	for _, name := range f.Names() {
		stored, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		var read *tensors.Tensor
		if stored.DType == checkpoint.I32 {
			ids, err := int32s(stored)
			if err != nil {
				t.Fatal(err)
			}
			read = tensors.FromFlatDataAndDimensions(ids, stored.Shape...)
		} else {
			floats, err := stored.Floats()
			if err != nil {
				t.Fatal(err)
			}
			read = tensors.FromFlatDataAndDimensions(floats, stored.Shape...)
		}
		recorded[name] = read
		if weight, ok := strings.CutPrefix(name, prefix); ok && stored.DType.Float() {
			weights.Set(weight, read)
		}
	}
	return recorded, weights
}

// compare fails the test when got is further from want than tolerance.
func compare(t *testing.T, name string, got, want *tensors.Tensor) {
	t.Helper()
	if !got.Shape().Equal(want.Shape()) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape(), want.Shape())
		return
	}
	d := relative(values(t, got), values(t, want))
	t.Logf("%s: relative error %.2g", name, d)
	if !(d < tolerance) {
		t.Errorf("%s: relative error %.2g", name, d)
	}
}

// evaluate runs a graph over weights and inputs once.
func evaluate(t *testing.T, p *Params, graph func(w Weights, in []*Node) []*Node, in ...any) []*tensors.Tensor {
	t.Helper()
	n := p.Len()
	out, err := xla.Compile(t.Name(), func(nodes []*Node) []*Node { return graph(p.Bind(nodes), nodes[n:]) }).Run(p.Inputs(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
