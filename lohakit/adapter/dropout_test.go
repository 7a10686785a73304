package adapter

import (
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// With the random numbers that kohya's networks.lora drew, dropout between a LoRA's factors gives its outputs and gradients, for layers of every
// sort: see testdata/record_kohya.py.
func TestDropoutIsKohyas(t *testing.T) {
	recorded, _ := recordedFile(t, "testdata/kohya.safetensors")
	spec := Spec{Kind: LoCon, Dim: 3, Alpha: 2, ConvDim: 3, ConvAlpha: 2, NeuronDropout: 0.3, RankDropout: 0.4, RankDropoutBySample: true, ModuleDropout: 0.2}
	if err := spec.Check(); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for name := range recorded {
		path, ok := strings.CutSuffix(name, "/x")
		if !ok {
			continue
		}
		compared++
		of := func(what string) *tensors.Tensor { return recorded[path+"/"+what] }
		part := checkpoint.UNet
		if strings.HasPrefix(path, "text_model.") {
			part = checkpoint.Text
		}
		l := Layer{Part: part, Path: path, Name: layerName(part, path), Shape: of("weight").Shape().Dimensions}
		a, err := build([]Layer{l}, spec, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		a.Params.Set(l.Name+".lora_down.weight", of("down"))
		a.Params.Set(l.Name+".lora_up.weight", of("up"))
		inputs := []any{of("x"), of("weight"), of("projection"), a.Params.Inputs()}
		if of("bias") != nil {
			inputs = append(inputs, of("bias"))
		}
		image, suffixes := len(l.Shape) == 4, a.trained(a.modules[l.Name])
		program := xla.Compile(path, func(in []*Node) []*Node {
			base := sd.Weights{Get: func(string) *Node { return in[1] }}
			own := a.Params.Bind(in[3:])
			var stacked []*Node
			for _, suffix := range suffixes {
				stacked = append(stacked, InsertAxes(own.Get(l.Name+"."+suffix), 0))
			}
			grouped := a.Grouped([]Group{{Part: part, Layers: []string{l.Name}, Suffixes: suffixes, joint: true}}, stacked)
			w := grouped.Apply(base, func(_, purpose string, _ bool, dims ...int) *Node {
				u := Const(in[0].Graph(), of(purpose+".u"))
				if purpose == "neuron" && image {
					u = xla.ChannelsLast(u)
				}
				return Reshape(u, dims...)
			})
			product := func(x, weight *Node) *Node {
				if !image {
					return xla.Linear(x, weight, nil)
				}
				stride := 1
				if strings.Contains(path, "downsampler") {
					stride = 2
				}
				return xla.Conv(x, weight, nil, stride, weight.Shape().Dim(2)/2)
			}
			x, projection := in[0], in[2]
			if image {
				x, projection = xla.ChannelsLast(x), xla.ChannelsLast(projection)
			}
			y := Add(product(x, w.Get(path+".weight")), w.Beside(w, path, x, product))
			if len(in) > 5 {
				y = Add(y, ExpandLeftToRank(in[5], y.Rank()))
			}
			loss := ReduceAllSum(Mul(y, projection))
			if image {
				y = xla.ChannelsFirst(y)
			}
			return append([]*Node{y, Gradient(loss, in[0])[0]}, grouped.Gradients(loss)...)
		})
		out, err := program.Run(inputs...)
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"out", "x.grad"}
		for _, suffix := range suffixes {
			names = append(names, map[string]string{"lora_up.weight": "up.grad", "lora_down.weight": "down.grad"}[suffix])
		}
		for i, what := range names {
			if e := relative(floats(t, out[i]), floats(t, of(what))); e > 1e-5 {
				t.Errorf("%s: %s differs by %.2g", path, what, e)
			}
		}
	}
	if compared != 6 {
		t.Errorf("%d layers compared", compared)
	}
}
