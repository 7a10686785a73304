package adapter

import (
	"math"
	"testing"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/fault"
)

// TestProductIsTheDifference multiplies the thin factors out and compares with the difference that the graphs compute, which are held
// against the reference elsewhere.
func TestProductIsTheDifference(t *testing.T) {
	m := tiny(t)
	for _, spec := range []Spec{{Kind: LoHa, Dim: 2, Tucker: true}, {Kind: LoHa, Dim: 2, Tucker: true, Compat: CompatLyCORIS012},
		{Kind: LoHa, Dim: 2}, {Kind: LoCon, Dim: 3, Tucker: true}, {Kind: LoCon, Dim: 3}, {Kind: LoKr, Dim: 2}, {Kind: LoCon, Dim: 3, DoRA: true}} {
		spec.ConvDim, spec.Alpha, spec.ConvAlpha = 2, 0.7, 0.3
		a, err := New(m, spec, 1)
		if err != nil {
			t.Fatal(err)
		}
		products, spatial := 0, 0
		for i, l := range Layers(m.Config) {
			if a.modules[l.Name] == nil {
				continue
			}
			for suffix, shape := range a.modules[l.Name].has {
				if name := l.Name + "." + suffix; a.Params.Has(name) {
					a.Params.Set(name, normalTensor(uint64(i+len(suffix)), shape...))
				}
			}
			p, err := a.Product(l.Name, l.Shape)
			if err != nil {
				t.Fatal(err)
			}
			if p == nil {
				continue
			}
			products++
			if l.spatial() {
				spatial++
			}
			params := m.UNet
			if l.Part == checkpoint.Text {
				params = m.Text
			}
			delta, err := a.Delta(l.Path+".weight", params.Get(l.Path+".weight"))
			if err != nil {
				t.Fatal(err)
			}
			for j, want := range tensors.MustCopyFlatData[float32](delta) {
				got := 0.0
				for k := range p.Rank {
					got += p.Left[j/p.Cols*p.Rank+k] * p.Right[k*p.Cols+j%p.Cols]
				}
				if math.Abs(got-float64(want)) > 1e-5*math.Max(1, math.Abs(got)) {
					t.Fatalf("%+v, %s: element %d is %v, the difference has %v", spec, l.Name, j, got, want)
				}
			}
		}
		if has := spec.Kind != LoKr && !spec.DoRA; (products > 0) != has || (spatial > 0) != has {
			t.Errorf("%+v: %d layers are products, %d of them convolutions", spec, products, spatial)
		}
	}
}

func TestProductRefuses(t *testing.T) {
	m := tiny(t)
	a, err := New(m, Default(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Product("lora_unet_nothing", []int{4, 4}); !fault.Is(err, fault.NotExist) {
		t.Errorf("an unknown layer: %v", err)
	}
	if _, err := a.Product(a.order[0], []int{3, 3}); !fault.Is(err, fault.Invalid) {
		t.Errorf("another shape: %v", err)
	}
}
