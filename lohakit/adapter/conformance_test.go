package adapter

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
	"github.com/lohakit/notebook/lohakit/xla"
)

// tiny is the smallest model with every class of layer.
func tiny(t testing.TB) *sd.Model {
	m, err := sd.New(sd.Config{
		UNet:       sd.UNetConfig{In: 4, Out: 4, Channels: []int{8, 12}, Layers: 1, Attention: []bool{true, false}, CrossDim: 8, Heads: 2},
		Text:       sd.TextConfig{Rows: 12, Width: 8, Layers: 1, Heads: 2, MLP: 16, Positions: 77, TokenIDs: []int32{320, 49406, 49407}},
		VAE:        sd.VAEConfig{Patch: 4, Latent: 4, Scale: 1},
		Prediction: sd.Epsilon,
	}, 7)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// conforming are the kinds and forms that every test of this file runs over.
func conforming() map[string]Spec {
	specs := map[string]Spec{
		"loha":         {Kind: LoHa, Dim: 3, ConvDim: 2, Alpha: 1, ConvAlpha: 1},
		"loha tucker":  Default(),
		"loha 2023":    {Kind: LoHa, Dim: 3, ConvDim: 2, Alpha: 1, ConvAlpha: 1, Tucker: true, Init: Init2023},
		"loha rs":      {Kind: LoHa, Dim: 4, ConvDim: 2, Alpha: 1, ConvAlpha: 1, RSLoRA: true},
		"loha dora":    {Kind: LoHa, Dim: 3, ConvDim: 2, DoRA: true},
		"lora":         {Kind: LoRA, Dim: 3, Alpha: 2},
		"locon":        {Kind: LoCon, Dim: 3, ConvDim: 2, Alpha: 1, ConvAlpha: 2},
		"locon tucker": {Kind: LoCon, Dim: 3, ConvDim: 2, Tucker: true},
		"locon dora":   {Kind: LoCon, Dim: 3, ConvDim: 2, DoRA: true, DoRAOnInput: true},
		"lokr":         {Kind: LoKr, Dim: 1, ConvDim: 1, Alpha: 2},
		"lokr tucker":  {Kind: LoKr, Dim: 1, ConvDim: 1, Tucker: true},
		"lokr both":    {Kind: LoKr, Dim: 1, ConvDim: 1, DecomposeBoth: true},
		"lokr 2023":    {Kind: LoKr, Dim: 1, ConvDim: 1, Tucker: true, Init: Init2023},
		"lokr full":    {Kind: LoKr, Dim: 1, ConvDim: 1, FullMatrix: true, Alpha: 4},
		"ia3":          {Kind: IA3, Dim: 1, Preset: "ia3"},
		"full":         {Kind: Full, Dim: 1},
		"norms":        {Kind: LoCon, Dim: 2, TrainNorm: true},
		"rules": {Kind: LoHa, Dim: 2, ConvDim: 2,
			Rules: []Rule{{Match: "*.proj_in", Kind: LoCon, Dim: 3}, {Match: "lora_te_*", Skip: true}}},
		"lycoris 0.1.2":      {Kind: LoHa, Dim: 2, ConvDim: 2, Tucker: true, Compat: CompatLyCORIS012},
		"bfloat16, one rank": {Kind: LoHa, Dim: 1, ConvDim: 1},
	}
	return specs
}

// few are layers of every sort that presets tell apart, small and without the model around them.
var few = []Layer{
	{Part: checkpoint.Text, Path: "text_model.encoder.layers.0.self_attn.q_proj", Shape: []int{8, 8}, Bias: true},
	{Part: checkpoint.Text, Path: "text_model.encoder.layers.0.mlp.fc2", Shape: []int{8, 12}, Bias: true},
	{Part: checkpoint.UNet, Path: "mid_block.attentions.0.transformer_blocks.0.attn1.to_k", Shape: []int{12, 8}},
	{Part: checkpoint.UNet, Path: "mid_block.attentions.0.proj_in", Shape: []int{6, 10, 1, 1}, Bias: true},
	{Part: checkpoint.UNet, Path: "down_blocks.0.resnets.0.conv1", Shape: []int{8, 6, 3, 3}, Bias: true},
	{Part: checkpoint.UNet, Path: "down_blocks.0.resnets.0.norm1", Shape: []int{6}, Bias: true},
}

func init() {
	for i, l := range few {
		few[i].Name = layerName(l.Part, l.Path)
	}
}

// fewWeights are base weights and biases for the layers few.
func fewWeights() *sd.Params {
	p := sd.NewParams()
	for i, l := range few {
		p.Set(l.Path+".weight", normalTensor(uint64(2*i), l.Shape...))
		if l.Bias {
			p.Set(l.Path+".bias", normalTensor(uint64(2*i+1), l.Shape[0]))
		}
	}
	return p
}

// each runs f on an adapter of every kind for the layers few.
func each(t *testing.T, f func(t *testing.T, base *sd.Params, a *Adapter)) {
	base := fewWeights()
	for name, spec := range conforming() {
		t.Run(name, func(t *testing.T) {
			a, err := build(few, spec, 5, func(l Layer) (*tensors.Tensor, error) { return base.Get(l.Path + ".weight"), nil })
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "bfloat16") {
				a.Precision = checkpoint.BF16
			}
			f(t, base, a)
		})
	}
}

// scramble gives every parameter a value that an adapter might have after training.
func scramble(t testing.TB, a *Adapter) {
	rng := rand.New(rand.NewPCG(11, 12))
	for _, name := range a.Params.Names() {
		v, err := a.values(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			v[i] += float32(rng.NormFloat64() * 0.3)
		}
		a.Params.Set(name, tensors.FromFlatDataAndDimensions(v, a.Params.Shape(name)...))
	}
}

func floats(t testing.TB, x *tensors.Tensor) []float32 {
	v, err := tensors.CopyFlatData[float32](x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestZeroAtStart(t *testing.T) {
	each(t, func(t *testing.T, base *sd.Params, a *Adapter) {
		names := a.Changes(base)
		program := xla.Compile("all weights", func(in []*Node) []*Node {
			w := a.Apply(base.Bind(in), a.Params.Bind(in[base.Len():]), nil)
			var out []*Node
			for _, name := range names {
				out = append(out, w.Get(name))
			}
			return out
		})
		out, err := program.Run(base.Inputs(), a.Params.Inputs())
		if err != nil {
			t.Fatal(err)
		}
		for k, name := range names {
			want, got := floats(t, base.Get(name)), floats(t, out[k])
			for i := range want {
				// DoRA divides by the length it multiplies with, to rounding; the others add exact zeros.
				if off := math.Abs(float64(got[i] - want[i])); off > 1e-6*math.Abs(float64(want[i])) || off > 0 && !a.Spec.DoRA {
					t.Fatalf("%s[%d] starts as %v, the model has %v", name, i, got[i], want[i])
				}
			}
		}
		if len(names) == 0 {
			t.Error("the adapter changes nothing")
		}
	})
}

func TestSaveLoadSave(t *testing.T) {
	each(t, func(t *testing.T, base *sd.Params, a *Adapter) {
		scramble(t, a)
		folder := t.TempDir()
		first, second := filepath.Join(folder, "a.safetensors"), filepath.Join(folder, "b.safetensors")
		if err := a.Save(first, map[string]string{"ss_steps": "12"}); err != nil {
			t.Fatal(err)
		}
		b, err := Load(first)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range few {
			if m := b.modules[l.Name]; m != nil && !m.fits(l) {
				t.Errorf("%s no longer fits its layer", l.Name)
			}
		}
		if err := b.Save(second, b.Metadata); err != nil {
			t.Fatal(err)
		}
		x, _ := os.ReadFile(first)
		y, _ := os.ReadFile(second)
		if !bytes.Equal(x, y) {
			t.Errorf("the second save differs from the first")
		}
		plan, err := Plan(few, a.Spec)
		if err != nil {
			t.Fatal(err)
		}
		size, err := FileSize(plan, a.precision(), b.Metadata)
		if err != nil || size != int64(len(x)) {
			t.Errorf("predicted %d bytes (%v), the file has %d", size, err, len(x))
		}
		if got, want := b.Spec.Kind, a.Spec.Kind; got != want && want != LoRA {
			t.Errorf("loaded kind %v, saved %v", got, want)
		}
	})
}

// The merged weights and biases are the live ones, at another strength than 1.
func TestMergedWeightsAreLive(t *testing.T) {
	each(t, func(t *testing.T, base *sd.Params, a *Adapter) {
		scramble(t, a)
		const strength = 0.7
		names := a.Changes(base)
		program := xla.Compile("live weights", func(in []*Node) []*Node {
			own := a.Params.Bind(in[base.Len():])
			w := a.Apply(base.Bind(in), sd.Weights{Get: func(name string) *Node {
				if fixed := a.fixed.Get(name); fixed != nil {
					return Const(in[0].Graph(), fixed)
				}
				return own.Get(name)
			}}, Const(in[0].Graph(), float32(strength)))
			var out []*Node
			for _, name := range names {
				out = append(out, w.Get(name))
			}
			return out
		})
		live, err := program.Run(base.Inputs(), a.Params.Inputs())
		if err != nil {
			t.Fatal(err)
		}
		for i, name := range names {
			merged, err := a.Weight(name, base.Get(name), strength)
			if err != nil {
				t.Fatal(err)
			}
			if e := relative(floats(t, merged), floats(t, live[i])); e > 1e-6 {
				t.Errorf("%s: merged and live differ by %.2g", name, e)
			}
			if relative(floats(t, base.Get(name)), floats(t, live[i])) < 1e-4 {
				t.Errorf("%s does not change", name)
			}
		}
	})
}

// The graph of the live adapter over the whole network and the merged weights must be the same to rounding, for a mixture of kinds.
func TestMergeEqualsLive(t *testing.T) {
	m, merged := tiny(t), tiny(t)
	spec := Default()
	spec.TrainNorm = true
	spec.Rules = []Rule{{Match: "mid_block.*", Kind: LoCon}, {Match: "up_blocks.*conv2", Kind: Full}, {Match: "up_blocks.*", Kind: LoKr}}
	a, err := New(m, spec, 5)
	if err != nil {
		t.Fatal(err)
	}
	scramble(t, a)
	const strength = 0.7
	x, time, context := normalTensor(1, 1, 4, 4, 4), tensors.FromValue([]float32{500}), normalTensor(2, 1, 3, 8)
	live := xla.Compile("live", func(in []*Node) []*Node {
		w := a.Apply(m.UNet.Bind(in), a.Params.Bind(in[m.UNet.Len():]), Const(in[0].Graph(), float32(strength)))
		in = in[m.UNet.Len()+a.Params.Len():]
		return []*Node{sd.UNet(m.Config.UNet, w, in[0], in[1], in[2])}
	})
	want, err := live.Run(m.UNet.Inputs(), a.Params.Inputs(), x, time, context)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Merge(merged, strength, 1); err != nil {
		t.Fatal(err)
	}
	plain := xla.Compile("merged", func(in []*Node) []*Node {
		w := merged.UNet.Bind(in)
		in = in[merged.UNet.Len():]
		return []*Node{sd.UNet(m.Config.UNet, w, in[0], in[1], in[2])}
	})
	got, err := plain.Run(merged.UNet.Inputs(), x, time, context)
	if err != nil {
		t.Fatal(err)
	}
	if e := relative(floats(t, got[0]), floats(t, want[0])); e > 2e-5 {
		t.Errorf("merged and live differ by %.2g", e)
	}
}

// LoHa has a gradient of its own: along a random direction of every parameter it must equal the central difference.
func TestLoHaGradients(t *testing.T) {
	base := fewWeights()
	for _, tuckerForm := range []bool{false, true} {
		a, err := build(few[4:5], Spec{Kind: LoHa, Dim: 3, ConvDim: 3, Tucker: tuckerForm}, 5, nil)
		if err != nil {
			t.Fatal(err)
		}
		scramble(t, a)
		program := xla.Compile("gradients", func(in []*Node) []*Node {
			x := a.Apply(base.Bind(in), a.Params.Bind(in[base.Len():]), nil).Get(few[4].Path + ".weight")
			loss := ReduceAllSum(Mul(x, Sin(Reshape(IotaFull(x.Graph(), x.Shape().Clone()), x.Shape().Dimensions...))))
			return append([]*Node{loss}, Gradient(loss, in[base.Len():]...)...)
		})
		run := func() []*tensors.Tensor {
			out, err := program.Run(base.Inputs(), a.Params.Inputs())
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		grads := run()[1:]
		for i, name := range a.Params.Names() {
			original := a.Params.Get(name)
			direction := floats(t, normalTensor(uint64(i), a.Params.Shape(name)...))
			slope, norm := 0.0, 0.0
			for j, g := range floats(t, grads[i]) {
				slope += float64(g) * float64(direction[j])
				norm += float64(g) * float64(g)
			}
			const h = 1e-2
			at := func(h float32) float64 {
				moved := floats(t, original)
				for j := range moved {
					moved[j] += h * direction[j]
				}
				a.Params.Set(name, tensors.FromFlatDataAndDimensions(moved, a.Params.Shape(name)...))
				return float64(tensors.ToScalar[float32](run()[0]))
			}
			difference := (at(h) - at(-h)) / (2 * h)
			a.Params.Set(name, original)
			if math.Abs(slope-difference) > 0.01*math.Sqrt(norm*float64(len(direction)))+1e-3 {
				t.Errorf("tucker %v, %s: gradient %.5f, central difference %.5f", tuckerForm, name, slope, difference)
			}
		}
	}
}

func normalTensor(seed uint64, dims ...int) *tensors.Tensor {
	rng := rand.New(rand.NewPCG(seed, 99))
	v := make([]float32, product(dims))
	for i := range v {
		v[i] = float32(rng.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(v, dims...)
}

// relative is the largest difference over the largest value.
func relative(got, want []float32) float64 {
	var most, off float64
	for i := range want {
		most = max(most, math.Abs(float64(want[i])))
		off = max(off, math.Abs(float64(got[i]-want[i])))
	}
	return off / most
}
