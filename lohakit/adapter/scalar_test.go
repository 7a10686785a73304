package adapter

import (
	"path/filepath"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Layers with scalars change nothing at first, whatever else is drawn; they do from a file what they do live; and layers trained together have
// the gradients that they have alone, which TestReference compares with LyCORIS.
func TestScalars(t *testing.T) {
	path := func(i string) string { return "text_model.encoder.layers." + i + ".self_attn.q_proj" }
	var layers []Layer
	base := sd.NewParams()
	for i, number := range []string{"0", "1", "2", "3", "4"} {
		l := Layer{Part: checkpoint.Text, Path: path(number), Shape: []int{8, 12}}
		l.Name = layerName(l.Part, l.Path)
		layers = append(layers, l)
		base.Set(l.Path+".weight", normalTensor(uint64(i), l.Shape...))
	}
	spec := Spec{Kind: LoHa, Dim: 2, Alpha: 1, UseScalar: true, Rules: []Rule{{Match: "*layers.2*", Kind: LoCon}, {Match: "*layers.3*", Kind: LoKr}}}
	a, err := build(layers, spec, 5, nil)
	if err != nil {
		t.Fatal(err)
	}
	weight := func(a *Adapter, l Layer) []float32 {
		w, err := a.Weight(l.Path+".weight", base.Get(l.Path+".weight"), 1)
		if err != nil {
			t.Fatal(err)
		}
		return floats(t, w)
	}
	for _, l := range layers[:4] {
		if e := relative(weight(a, l), floats(t, base.Get(l.Path+".weight"))); e != 0 {
			t.Errorf("%s changes by %.2g before training", l.Name, e)
		}
	}
	scramble(t, a)
	file := filepath.Join(t.TempDir(), "a.safetensors")
	a.Precision = checkpoint.F32
	if err := a.Save(file, nil); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers[:4] {
		if e := relative(weight(loaded, l), weight(a, l)); e > tolerance {
			t.Errorf("%s from the file differs by %.2g", l.Name, e)
		}
	}

	groups := []Group{{Suffixes: a.trained(a.modules[layers[0].Name]), joint: true}}
	for _, i := range []int{0, 1, 4} {
		groups[0].Layers = append(groups[0].Layers, layers[i].Name)
	}
	program := xla.Compile("gradients", func(in []*Node) []*Node {
		frozen, own := in[:base.Len()], a.Params.Bind(in[base.Len():])
		var each, stacked []*Node
		for _, suffix := range groups[0].Suffixes {
			var rows []*Node
			for _, name := range groups[0].Layers {
				rows = append(rows, InsertAxes(own.Get(name+"."+suffix), 0))
				each = append(each, own.Get(name+"."+suffix))
			}
			stacked = append(stacked, Concatenate(rows, 0))
		}
		loss := func(w sd.Weights) *Node {
			sum := ScalarZero(in[0].Graph(), in[0].DType())
			for _, i := range []int{0, 1, 4} {
				x := w.Get(layers[i].Path + ".weight")
				sum = Add(sum, ReduceAllSum(Mul(x, Sin(IotaFull(x.Graph(), x.Shape())))))
			}
			return sum
		}
		grouped := a.Grouped(groups, stacked)
		together := grouped.Gradients(loss(grouped.Apply(base.Bind(frozen), nil)))
		alone := Gradient(loss(a.Apply(base.Bind(frozen), own, nil)), each...)
		var out []*Node
		for i, g := range together {
			for k := range groups[0].Layers {
				out = append(out, Squeeze(Slice(g, AxisRange(k, k+1)), 0), alone[i*len(groups[0].Layers)+k])
			}
		}
		return out
	})
	out, err := program.Run(base.Inputs(), a.Params.Inputs())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(out); i += 2 {
		if e := relative(floats(t, out[i]), floats(t, out[i+1])); e > tolerance {
			t.Errorf("%s of %s together differs by %.2g from alone", groups[0].Suffixes[i/6], groups[0].Layers[i/2%3], e)
		}
	}

	from, err := build(layers, Spec{Kind: LoHa, Dim: 2, Alpha: 1, Rules: spec.Rules}, 6, nil)
	if err != nil {
		t.Fatal(err)
	}
	scramble(t, from)
	if _, _, err := a.Take(from); err != nil {
		t.Fatal(err)
	}
	for _, name := range a.Names() {
		if v := floats(t, a.Params.Get(name+"."+scalar)); v[0] != 1 {
			t.Errorf("%s begins at %v with a file's tensors", name, v)
		}
	}
}
