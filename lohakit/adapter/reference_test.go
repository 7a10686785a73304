package adapter

import (
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// tolerance bounds the largest difference from LyCORIS relative to the largest value. Both compute in float32; sums have at most a few
// hundred terms.
const tolerance = 1e-5

// TestReference compares every kind's changed weight, and the gradients of a projection of it, with LyCORIS 3.2.0.post2: see
// testdata/record_lycoris.py.
func TestReference(t *testing.T) {
	f, err := checkpoint.Open("testdata/lycoris.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	recorded := func(name string) *tensors.Tensor {
		x, err := f.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		v, err := x.Floats()
		if err != nil {
			t.Fatal(err)
		}
		return tensors.FromFlatDataAndDimensions(v, x.Shape...)
	}
	cases := map[string][]string{}
	for _, name := range f.Names() {
		if rest, ok := strings.CutSuffix(name, ".base"); ok {
			kind, layer, _ := strings.Cut(rest, "/")
			cases[kind] = append(cases[kind], layer)
		}
	}
	if len(cases) != 22 {
		t.Fatalf("%d cases recorded", len(cases))
	}
	for kind, layers := range cases {
		t.Run(kind, func(t *testing.T) {
			a := newAdapter()
			base := sd.NewParams()
			for _, layer := range layers {
				id := kind + "/" + layer
				base.Set(layer+".weight", recorded(id+".base"))
				base.Set(layer+".bias", recorded(id+".base_bias"))
				var m *module
				for _, name := range f.Names() {
					suffix, ok := strings.CutPrefix(name, id+".param.")
					if !ok {
						continue
					}
					form, _ := formOf(suffix)
					m = a.module("lora_unet_"+layer, form)
					if form != nil {
						m.form = form
					}
					v := recorded(name)
					m.has[suffix] = v.Shape().Dimensions
					a.Params.Set("lora_unet_"+layer+"."+suffix, v)
				}
				switch kind { // what LyCORIS calls the gradient of Tucker factors is not the derivative: see CompatGradient
				case "loha tucker", "loha tucker scalar":
					m.compat = CompatGradient
				case "loha 0.1.2":
					m.compat = CompatLyCORIS012
				}
				m.on = strings.HasSuffix(kind, " input")
				if f.Has(id + ".alpha") {
					m.alpha = float64(tensors.ToScalar[float32](recorded(id + ".alpha")))
				}
				if err := m.complete("fixture"); err != nil {
					t.Fatal(err)
				}
				if !m.fits(Layer{Shape: base.Shape(layer + ".weight")}) {
					t.Errorf("%s: tensors %v do not fit %v", id, m.has, base.Shape(layer+".weight"))
				}
			}
			names := a.Changes(base)
			program := xla.Compile(kind, func(in []*Node) []*Node {
				w := a.Apply(base.Bind(in), a.Params.Bind(in[base.Len():]), Const(in[0].Graph(), float32(0.7)))
				var out []*Node
				loss := Const(in[0].Graph(), float32(0))
				for _, name := range names {
					x := w.Get(name)
					flat := Reshape(x, -1)
					loss = Add(loss, ReduceAllSum(Mul(flat, Sin(Iota(x.Graph(), flat.Shape(), 0)))))
					out = append(out, x)
				}
				return append(out, Gradient(loss, in[base.Len():]...)...)
			})
			out, err := program.Run(base.Inputs(), a.Params.Inputs())
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, got, want *tensors.Tensor) {
				if !slices.Equal(got.Shape().Dimensions, want.Shape().Dimensions) {
					t.Errorf("%s: shape %v, want %v", what, got.Shape(), want.Shape())
				} else if e := relative(floats(t, got), floats(t, want)); e > tolerance {
					t.Errorf("%s: differs by %.2g", what, e)
				}
			}
			for i, name := range names {
				layer, target, _ := strings.Cut(name, ".")
				result := ".result"
				if target == "bias" {
					result = ".result_bias"
				}
				check(name, out[i], recorded(kind+"/"+layer+result))
			}
			checkSaved(t, a, recorded, kind)
			for _, layer := range layers {
				if id := kind + "/" + layer + ".bypass"; f.Has(id) { // columns of the changed weight
					got := xla.Compile(id, func(in []*Node) []*Node { return []*Node{Transpose(in[0], 0, 1)} })
					turned, err := got.Run(out[slices.Index(names, layer+".weight")])
					if err != nil {
						t.Fatal(err)
					}
					check(layer+" in bypass mode", turned[0], recorded(id))
				}
			}
			for i, name := range a.Params.Names() {
				layer, suffix, _ := strings.Cut(strings.TrimPrefix(name, "lora_unet_"), ".")
				check("gradient of "+name, out[len(names)+i], recorded(kind+"/"+layer+".grad."+suffix))
			}
		})
	}
}

// checkSaved compares what a file would hold with what LyCORIS saves.
func checkSaved(t *testing.T, a *Adapter, recorded func(string) *tensors.Tensor, kind string) {
	t.Helper()
	if !strings.HasSuffix(kind, " scalar") {
		return
	}
	a.Precision = checkpoint.F32
	list, err := a.Tensors()
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range list {
		layer, suffix, _ := strings.Cut(strings.TrimPrefix(stored.Name, "lora_unet_"), ".")
		got, err := stored.Floats()
		if err != nil {
			t.Fatal(err)
		}
		if e := relative(got, floats(t, recorded(kind+"/"+layer+".saved."+suffix))); e > tolerance {
			t.Errorf("saved %s differs by %.2g", stored.Name, e)
		}
	}
}

// Unbalanced factors have the shapes that LyCORIS gives them.
func TestUnbalancedFactorization(t *testing.T) {
	f, err := checkpoint.Open("testdata/lycoris.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, layer := range []string{"linear", "conv1", "conv3"} {
		id := "lokr unbalanced/" + layer
		base, err := f.Tensor(id + ".base")
		if err != nil {
			t.Fatal(err)
		}
		spec := Spec{Kind: LoKr, UnbalancedFactorization: true}
		for _, p := range (lokrForm{}).plan(layerSpec{Spec: spec, dim: 1, alpha: 2}, Layer{Shape: base.Shape}) {
			if want, err := f.Tensor(id + ".param." + p.Suffix); err != nil || !slices.Equal(p.Shape, want.Shape) {
				t.Errorf("%s of %s is %v, %v", p.Suffix, layer, p.Shape, err)
			}
		}
	}
}

func TestFactorization(t *testing.T) {
	f, err := checkpoint.Open("testdata/lycoris.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Tensor("factorization")
	if err != nil {
		t.Fatal(err)
	}
	at := func(row, column int) int {
		return int(int32(uint32(x.Data[16*row+4*column]) | uint32(x.Data[16*row+4*column+1])<<8 |
			uint32(x.Data[16*row+4*column+2])<<16 | uint32(x.Data[16*row+4*column+3])<<24))
	}
	for row := range x.Shape[0] {
		small, large := factorize(at(row, 0), at(row, 1))
		if small != at(row, 2) || large != at(row, 3) {
			t.Errorf("factorize(%d, %d) = %d, %d; want %d, %d", at(row, 0), at(row, 1), small, large, at(row, 2), at(row, 3))
		}
	}
}
