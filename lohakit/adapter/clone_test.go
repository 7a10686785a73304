package adapter

import (
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
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
	if b.programs != a.programs {
		t.Error("a clone compiles anew what its original has")
	}

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

// What is done to an adapter leaves its clones as they are, and the other way round.
func TestCloneIsItsOwn(t *testing.T) {
	l := Layer{Part: checkpoint.UNet, Path: "down_blocks.0.resnets.0.conv1", Shape: []int{4, 6, 3, 3}}
	l.Name = layerName(l.Part, l.Path)
	base := normalTensor(1, l.Shape...)
	spec := Spec{Kind: LoHa, Dim: 1, ConvDim: 2, ConvAlpha: 1, Tucker: true, Compat: CompatLyCORIS012}
	for name, change := range map[string]func(a, other *Adapter) error{
		"Repair": func(a, _ *Adapter) error { _, err := a.Repair(); return err },
		"Take":   func(a, other *Adapter) error { _, _, err := a.Take(other); return err },
		"Only":   func(a, _ *Adapter) error { a.Only(func(string) bool { return false }); return nil },
	} {
		for _, changed := range []string{"adapter", "clone"} {
			a, err := build([]Layer{l}, spec, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			scramble(t, a)
			other := spec
			other.ConvAlpha = 2
			from, err := build([]Layer{l}, other, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			b := a.Clone()
			if changed == "clone" {
				a, b = b, a
			}
			look := func() ([]float32, []checkpoint.Tensor) {
				w, err := b.Weight(l.Path+".weight", base, 1)
				if err != nil {
					t.Fatal(err)
				}
				list, err := b.Tensors()
				if err != nil {
					t.Fatal(err)
				}
				return floats(t, w), list
			}
			does, holds := look()
			if err := change(a, from); err != nil {
				t.Fatal(err)
			}
			now, list := look()
			if !slices.Equal(now, does) || !reflect.DeepEqual(list, holds) {
				t.Errorf("%s of the %s changed the other", name, changed)
			}
		}
	}
}
