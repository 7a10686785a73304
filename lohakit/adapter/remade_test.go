package adapter

import (
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// Weights that are made again for the backward pass, with and without recomputed activations, give the gradients that Apply gives, which is compared
// with the references.
func TestRemadeWeights(t *testing.T) {
	model, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{176}, Layers: 1, Attention: []bool{false}, CrossDim: 8, Heads: 2, Groups: 4},
		Text: sd.TextConfig{Rows: 12, Width: 8, Layers: 1, Heads: 2, MLP: 16, Positions: sd.Window, TokenIDs: []int32{320, 49406, 49407}},
		VAE:  sd.VAEConfig{Patch: 4, Latent: 4, Scale: 1}, Prediction: sd.Epsilon}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []Spec{
		{Kind: LoHa, Dim: 3, Alpha: 1, ConvDim: 2, ConvAlpha: 1, Tucker: true},
		{Kind: Full, Dim: 1, Rules: []Rule{{Match: "mid_block.resnets.0.conv1"}, {Match: "lora_*", Skip: true}}}, // a weight that is made again, a bias that is not
	} {
		t.Run(string(spec.Kind), func(t *testing.T) { remade(t, model, spec) })
	}
}

func remade(t *testing.T, model *sd.Model, spec Spec) {
	ids := make([]int32, sd.Window)
	ids[0] = 49406
	a, err := New(model, spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	scramble(t, a)
	groups := a.Groups(model.Config, nil)
	program := xla.Compile("gradients", func(in []*Node) []*Node {
		unet, in := model.UNet.Bind(in), in[model.UNet.Len():]
		text, in := model.Text.Bind(in), in[model.Text.Len():]
		own, in := in[:a.Params.Len()], in[a.Params.Len():]
		byName := a.Params.Bind(own)
		loss := func(network func(sd.UNetConfig, sd.Weights, *Node, *Node, *Node) *Node, apply func(sd.Weights) sd.Weights) *Node {
			context := sd.Context(model.Config.Text, apply(text), in[2], 1)
			return ReduceAllMean(Square(network(model.Config.UNet, apply(unet), in[0], in[1], context)))
		}
		out := Gradient(loss(sd.UNet, func(w sd.Weights) sd.Weights { return a.Apply(w, byName, nil) }), own...)
		for _, network := range []func(sd.UNetConfig, sd.Weights, *Node, *Node, *Node) *Node{sd.UNet, sd.UNetRecomputing} {
			grouped := a.Grouped(groups, stackedOf(groups, byName))
			for name, want := range map[string]bool{"mid_block.resnets.0.conv1.weight": true, "conv_in.weight": false} {
				if _, make := grouped.Apply(unet, nil).Made(name); (make != nil) != want {
					t.Errorf("%s is made again: %v, want %v", name, !want, want)
				}
			}
			grads := grouped.Gradients(loss(network, func(w sd.Weights) sd.Weights { return grouped.Apply(w, nil) }))
			of := map[string]*Node{}
			for _, g := range groups {
				for i, suffix := range g.Suffixes {
					for k, layer := range g.Layers {
						of[layer+"."+suffix] = Squeeze(Slice(grads[i], AxisRange(k, k+1)), 0)
					}
				}
				grads = grads[len(g.Suffixes):]
			}
			for _, param := range a.Params.Names() {
				out = append(out, of[param])
			}
		}
		return out
	})
	out, err := program.Run(model.UNet.Inputs(), model.Text.Inputs(), a.Params.Inputs(), normalTensor(1, 1, 4, 4, 4),
		tensors.FromValue([]int32{500}), tensors.FromFlatDataAndDimensions(ids, 1, sd.Window))
	if err != nil {
		t.Fatal(err)
	}
	n := a.Params.Len()
	for i, param := range a.Params.Names() {
		for k, how := range []string{"kept", "recomputed"} {
			if e := relative(floats(t, out[(k+1)*n+i]), floats(t, out[i])); !(e < 1e-3) {
				t.Errorf("%s, activations %s: gradient differs by %.2g", param, how, e)
			}
		}
	}
}

// stackedOf arranges an adapter's tensors as Grouped takes them.
func stackedOf(groups []Group, own sd.Weights) (list []*Node) {
	for _, g := range groups {
		for _, suffix := range g.Suffixes {
			var all []*Node
			for _, layer := range g.Layers {
				all = append(all, InsertAxes(own.Get(layer+"."+suffix), 0))
			}
			list = append(list, Concatenate(all, 0))
		}
	}
	return list
}
