package adapter

import (
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
)

// TestCloneStays changes an adapter in every way there is, and checks that its clone stays what it was.
func TestCloneStays(t *testing.T) {
	spec := Default()
	spec.Dim, spec.ConvDim, spec.Tucker, spec.Compat = 2, 2, true, CompatLyCORIS012
	a, err := New(tiny(t), spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	row := func(v float32) *tensors.Tensor { return tensors.FromFlatDataAndDimensions([]float32{v, v}, 1, 2) }
	a.Embeddings = []sd.Embedding{{Name: "tilty", Rows: row(1)}}
	b := a.Clone()
	want, err := b.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	names := len(a.Names())

	for _, name := range a.Params.Names() {
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(make([]float32, a.Params.Get(name).Size()), a.Params.Shape(name)...))
	}
	a.Embeddings[0].Rows = row(2)
	a.Metadata["ss_output_name"] = "other"
	if _, err := a.Repair(); err != nil {
		t.Fatal(err)
	}
	a.Only(func(string) bool { return false })

	got, err := b.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) || len(b.Names()) != names || len(b.Metadata) != 0 || b.Spec.Compat != spec.Compat {
		t.Fatalf("%d tensors of %d layers, metadata %v, %+v", len(got), len(b.Names()), b.Metadata, b.Spec)
	}
	for i := range want {
		if got[i].Name != want[i].Name || string(got[i].Data) != string(want[i].Data) {
			t.Errorf("%s changed", want[i].Name)
		}
	}
}
